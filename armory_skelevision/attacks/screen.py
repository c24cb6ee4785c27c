"""A flat screen in a video and a patch shown on it.

Convention: pixel edges, so that pixel (i, j) covers [j, j + 1] x [i, i + 1] and a patch (h, w) spans [0, w] x [0, h].
A screen's corners are ordered top-left, top-right, bottom-right, bottom-left as a reader before it sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from kornia.geometry import get_perspective_transform, transform_points
from torch import Tensor

from armory_skelevision.tracking.frames import Frames, Region

# V (in HSV) of ARMORY's green screen, #00903a, in full light. How bright it looks tells how bright a patch would look.
GREEN_SCREEN_VALUE = 0.5647


class View(NamedTuple):
    """How the screen appears in one frame; constant during an attack."""

    region: Region
    """Smallest part of the frame that holds the screen."""
    grid: Tensor
    """Where in the patch each pixel looks, in [-1, 1] as `grid_sample` wants it, (rows, columns, 2)."""
    opacity: Tensor
    """1 where the patch is seen, 0 where something stands before it, between at its rim, (rows, columns)."""
    shade: Tensor | None
    """Factor on the patch's brightness (rows, columns); None where the patch is shown as it is."""


class PatchedFrames(Frames):
    """A video with a patch on its screen, composed only where it is looked at.

    Args:
        video: The clean video.
        views: The screen in each frame, None where it is not seen.
        patch: (h, w, 3) RGB in [0, 1]; gradients flow back to it.
    """

    def __init__(self, video: Frames, views: Sequence[View | None], patch: Tensor) -> None:
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
        common = [_meet(wanted, seen) for wanted, seen in zip(region, view.region, strict=True)]
        if any(part.start >= part.stop for part in common):
            return clean
        inside = tuple(_shift(part, wanted.start) for part, wanted in zip(common, region, strict=True))
        on_screen = tuple(_shift(part, seen.start) for part, seen in zip(common, view.region, strict=True))
        painted = clean.clone()
        painted[:, inside[0], inside[1]] = self._paint(clean[:, inside[0], inside[1]], view, on_screen)
        return painted

    def _paint(self, clean: Tensor, view: View, part: tuple[slice, ...]) -> Tensor:
        grid = view.grid[part][None]
        patch = F.grid_sample(self.patch, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
        if view.shade is not None:
            patch = patch * view.shade[part]
        return (clean + view.opacity[part] * (patch - clean)).clamp(0, 1)


def view_screens(video: Frames, corners_xy: np.ndarray, masks: np.ndarray, shaded: bool) -> list[View | None]:
    """How the screen appears in each frame.

    Args:
        video: The clean video, F frames.
        corners_xy: (F, 4, 2) in pixels; may lie outside the frame.
        masks: (F, H, W), true where the screen is visible.
        shaded: Whether the patch takes on the brightness that the (green) screen has in the frame.

    Raises:
        ValueError: If the corners of a visible screen are not a convex quadrilateral in the right order.
    """
    views: list[View | None] = []
    for index, (corners, mask) in enumerate(zip(corners_xy, masks, strict=True)):
        region = _bounding_region(corners, video.width, video.height)
        if not mask[region].any():
            views.append(None)
            continue
        clean = video.pixels(index, region).detach()
        quad_xy = torch.as_tensor(corners, dtype=torch.float64, device=clean.device)
        if not _is_convex(quad_xy):
            raise ValueError(
                f"gs_coords: frame {index}: expected the corners of a convex screen, got {corners.tolist()}"
            )
        opacity = _coverage(quad_xy, region) * torch.as_tensor(mask[region], device=clean.device)
        shade = clean.amax(dim=0) / GREEN_SCREEN_VALUE if shaded else None
        views.append(View(region, _patch_grid(quad_xy, region).to(clean), opacity.to(clean), shade))
    return views


def _patch_grid(quad_xy: Tensor, region: Region) -> Tensor:
    """Positions in the patch under each pixel's centre, by the homography from frame to patch."""
    target = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]).to(quad_xy)
    homography = get_perspective_transform(quad_xy[None], target[None])
    points = _pixel_centres(region).to(quad_xy)
    grid = transform_points(homography, points.reshape(1, -1, 2)).reshape(points.shape)
    # Beyond the screen's vanishing line the positions run away; they are never opaque there.
    bounded: Tensor = grid.nan_to_num(2.0).clamp(-2, 2)
    return bounded


def _coverage(quad_xy: Tensor, region: Region) -> Tensor:
    """1 inside a convex quadrilateral, 0 outside, a ramp one pixel wide along its edges: (rows, columns)."""
    points = _pixel_centres(region).to(quad_xy)
    edges = quad_xy.roll(-1, dims=0) - quad_xy
    offsets = points[..., None, :] - quad_xy
    distance = (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0]) / edges.norm(dim=1)
    coverage: Tensor = (distance.amin(dim=-1) + 0.5).clamp(0, 1)
    return coverage


def _is_convex(quad_xy: Tensor) -> bool:
    """Whether the corners run clockwise on the picture around a convex shape of some area."""
    edges = quad_xy.roll(-1, dims=0) - quad_xy
    following = edges.roll(-1, dims=0)
    return bool((edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 1e-6).all())


def _pixel_centres(region: Region) -> Tensor:
    rows, columns = (torch.arange(part.start, part.stop, dtype=torch.float64) + 0.5 for part in region)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def _bounding_region(corners_xy: np.ndarray, width: int, height: int) -> Region:
    (x1, y1), (x2, y2) = np.floor(corners_xy.min(axis=0)) - 1, np.ceil(corners_xy.max(axis=0)) + 1
    x1, x2 = np.clip([x1, x2], 0, width).astype(int)
    y1, y2 = np.clip([y1, y2], 0, height).astype(int)
    return slice(int(y1), int(y2)), slice(int(x1), int(x2))


def _meet(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def _shift(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)
