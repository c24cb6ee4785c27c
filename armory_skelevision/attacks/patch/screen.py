"""A flat screen in a video and a patch shown on it.

Convention: pixel edges, so that pixel (i, j) covers [j, j + 1] x [i, i + 1] and a patch (h, w) spans [0, w] x [0, h].
A screen's corners are ordered top-left, top-right, bottom-right, bottom-left, as seen by a viewer in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from kornia.geometry import get_perspective_transform
from torch import Tensor

from armory_skelevision.tracking.frames import Frames, Region
from armory_skelevision.validation import InvalidValueError

# V (in HSV) of ARMORY's green screen, #00903a, in full light; brightness relative to it shades the patch.
GREEN_SCREEN_VALUE = 0.5647


class Projection(NamedTuple):
    """How the patch is seen in a part of a frame."""

    part: Region
    """The part."""
    grid: Tensor
    """Positions in the patch under each pixel, for `grid_sample`: (rows, columns, 2), in [-1, 1]."""
    opacity: Tensor
    """Share of each pixel that shows the patch, (rows, columns), in [0, 1]."""

    def crop(self, part: Region) -> Projection | None:
        """The projection to a smaller part; None where it is no part of this one."""
        within = zip(part, self.part, strict=True)
        if not all(whole.start <= wanted.start and wanted.stop <= whole.stop for wanted, whole in within):
            return None
        rows, columns = _relative(part, self.part)
        # Contiguous, as a grid of this part alone would be: gradients are summed in another order in other layouts.
        return Projection(part, self.grid[rows, columns].contiguous(), self.opacity[rows, columns])


@dataclass(eq=False)
class ScreenView:
    """The screen in one frame; constant during an attack.

    Attributes:
        region: Smallest part of the frame that contains the screen.
        corners_xy: The screen's corners (4, 2) in frame pixels, float64.
        homography: From frame pixels to positions in the patch in [-1, 1], (3, 3).
        edges: Lines (4, 3): their product with a point (x, y, 1) is its distance inwards from each edge, in pixels.
        mask: Where the screen is not occluded, (H, W) bool.
        shaded: Whether the patch takes on the brightness of the screen.
    """

    region: Region
    corners_xy: np.ndarray
    homography: np.ndarray
    edges: np.ndarray
    mask: np.ndarray
    shaded: bool
    _known: dict[tuple[torch.dtype, torch.device], Projection] = field(default_factory=dict, init=False, repr=False)

    @torch.inference_mode(False)
    def projection(self, part: Region, like: Tensor) -> Projection:
        """The projection to a part of the frame, with the dtype and the device of ``like``; not to be changed.

        Each step of an attack needs about the same, so it is computed once: for the part at first, and for all of
        ``region`` when something else is asked for. That is 12 bytes for each of its pixels in float32, as much as the
        pixel itself.
        """
        known = self._known.get((like.dtype, like.device))
        found = known.crop(part) if known is not None else None
        if found is None:
            computed = part if known is None else self.region
            visible = torch.as_tensor(self.mask[computed], device=like.device)
            grid, opacity = _patch_grid(self.homography, computed, like), coverage(self.edges, computed, like) * visible
            self._known[like.dtype, like.device] = Projection(computed, grid, opacity)
            return self.projection(part, like)
        return found


class PatchedFrames(Frames):
    """A video with a patch on its screen, composed only in the regions that are read.

    Args:
        video: The clean video.
        views: The screen in each frame, None where it is not visible.
        patch: (h, w, 3) RGB in [0, 1]; gradients flow back to it.
    """

    def __init__(self, video: Frames, views: Sequence[ScreenView | None], patch: Tensor) -> None:
        super().__init__(len(video), video.height, video.width)
        self.video = video
        self.views = views
        self.patch = patch.permute(2, 0, 1)[None]

    def pixels(self, index: int, region: Region) -> Tensor:
        """See `Frames.pixels`."""
        clean = self.video.pixels(index, region)
        view = self.views[index]
        if view is None:
            return clean
        rows, columns = (
            slice(max(wanted.start, seen.start), min(wanted.stop, seen.stop))
            for wanted, seen in zip(region, view.region, strict=True)
        )
        if not view.mask[rows, columns].any():  # nor where the two do not meet
            return clean
        inner_rows, inner_columns = _relative((rows, columns), region)
        painted = clean.clone()
        painted[:, inner_rows, inner_columns] = self._paint(clean[:, inner_rows, inner_columns], view, (rows, columns))
        return painted

    @cached_property
    def mean_colour(self) -> Tensor:
        """See `Frames.mean_colour`: the mean of the clean frame, plus the change made by the patch."""
        view = self.views[0]
        if view is None:
            return self.video.mean_colour
        change = self.pixels(0, view.region) - self.video.pixels(0, view.region)
        return self.video.mean_colour + change.sum(dim=(1, 2)) / (self.height * self.width)

    def _paint(self, clean: Tensor, view: ScreenView, part: Region) -> Tensor:
        _, grid, opacity = view.projection(part, clean)
        patch = F.grid_sample(self.patch, grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
        if view.shaded:
            patch = patch * (clean.detach().amax(dim=0) / GREEN_SCREEN_VALUE)
        return (clean + opacity * (patch - clean)).clamp(0, 1)


def view_screens(video: Frames, corners_xy: np.ndarray, masks: np.ndarray, shaded: bool) -> list[ScreenView | None]:
    """The screen in each frame, None where it is not visible.

    Args:
        video: The clean video, F frames.
        corners_xy: (F, 4, 2) in pixels; may lie outside the frame.
        masks: (F, H, W), true where the screen is visible.
        shaded: Whether the patch takes on the brightness that the (green) screen has in the frame.

    Raises:
        InvalidValueError: If the corners of a visible screen are not a convex quadrilateral in the right order.
    """
    views: list[ScreenView | None] = []
    for index, (corners, mask) in enumerate(zip(corners_xy, masks, strict=True)):
        region = _bounding_region(corners, video.width, video.height)
        if not mask[region].any():
            views.append(None)
            continue
        if not _is_convex(corners):
            raise InvalidValueError(f"gs_coords[{index}]", "the corners of a convex screen", str(corners.tolist()))
        views.append(_make_view(corners, mask, shaded))
    return views


def move_corners(view: ScreenView, offsets_xy: np.ndarray) -> ScreenView:
    """The same screen with its corners moved by (4, 2) pixels; unmoved where that would fold it."""
    corners_xy = view.corners_xy + offsets_xy
    return _make_view(corners_xy, view.mask, view.shaded) if _is_convex(corners_xy) else view


def _make_view(corners_xy: np.ndarray, mask: np.ndarray, shaded: bool) -> ScreenView:
    height, width = mask.shape
    quad_xy = torch.from_numpy(corners_xy)[None]
    square = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]], dtype=quad_xy.dtype)
    homography = get_perspective_transform(quad_xy, square)[0].numpy()
    along = np.roll(corners_xy, -1, axis=0) - corners_xy
    inwards = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    edges = np.concatenate([inwards, -(inwards * corners_xy).sum(axis=1, keepdims=True)], axis=1)
    return ScreenView(_bounding_region(corners_xy, width, height), corners_xy, homography, edges, mask, shaded)


def _patch_grid(homography: np.ndarray, region: Region, like: Tensor) -> Tensor:
    """Positions in the patch under the centre of each pixel, for `grid_sample`: (rows, columns, 2), in [-1, 1]."""
    x, y, scale = _planes(homography, region, like.device)
    # Beyond the screen's vanishing line the positions run away; they are never opaque there.
    return (torch.stack([x, y], dim=-1) / scale[..., None]).nan_to_num(2.0).clamp(-2, 2).to(like.dtype)


def coverage(edges: np.ndarray, region: Region, like: Tensor) -> Tensor:
    """1 inside a convex quadrilateral, 0 outside, a ramp one pixel wide along its edges: (rows, columns)."""
    return (reduce(torch.minimum, _planes(edges, region, like.device)) + 0.5).clamp(0, 1).to(like.dtype)


def _planes(weights: np.ndarray, region: Region, device: torch.device) -> list[Tensor]:
    """The values of weights (n, 3) . (x, y, 1) at the centre of each pixel of a region: n (rows, columns), float64."""
    y, x = (torch.arange(part.start, part.stop, dtype=torch.float64, device=device) + 0.5 for part in region)
    return [a * x + (b * y + c)[:, None] for a, b, c in weights.tolist()]


def _is_convex(corners_xy: np.ndarray) -> bool:
    """Whether the corners run clockwise on the picture around a convex shape of some area."""
    edges = np.roll(corners_xy, -1, axis=0) - corners_xy
    following = np.roll(edges, -1, axis=0)
    return bool((edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 1e-6).all())


def _bounding_region(corners_xy: np.ndarray, width: int, height: int) -> Region:
    (x1, y1), (x2, y2) = np.floor(corners_xy.min(axis=0)) - 1, np.ceil(corners_xy.max(axis=0)) + 1
    x1, x2 = np.clip([x1, x2], 0, width).astype(int)
    y1, y2 = np.clip([y1, y2], 0, height).astype(int)
    return slice(int(y1), int(y2)), slice(int(x1), int(x2))


def _relative(part: Region, whole: Region) -> Region:
    """A part of a frame, measured from the first row and column of a larger one."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(part, whole, strict=True))
    return rows, columns
