"""A video with a screen in it, on which an attack shows its patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.patch.eot import EOTSample
from armory_skelevision.attacks.patch.screen import PatchedFrames, ScreenView, move_corners, view_screens
from armory_skelevision.models.inputs import check_box
from armory_skelevision.tracking import ChosenFrames, Frames, VideoFrames
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

MAX_SIDE = 8192
"""Of a screen in pixels, beyond which a patch would fill the memory."""


@dataclass(frozen=True)
class PatchScene:
    """One video, its target and its screen.

    Attributes:
        video: The clean video, F frames.
        truth_xyxy: True boxes (F, 4), pixels.
        views: The screen in each frame, None where it is not visible.
        patch_hw: Height and width of a patch, the largest size of the screen in the video, in pixels.
    """

    video: VideoFrames
    truth_xyxy: Tensor
    views: list[ScreenView | None]
    patch_hw: tuple[int, int]

    def frames(self, patch: Tensor, sample: EOTSample | None = None) -> Frames:
        """The video with a patch (h, w, 3), RGB in [0, 1], on the screen; gradients flow back to the patch.

        ``sample`` moves the corners and selects frames.
        """
        if sample is None:
            return PatchedFrames(self.video, self.views, patch)
        views = self.views
        if sample.corner_offsets_xy.any():
            moves = zip(self.views, sample.corner_offsets_xy, strict=True)
            views = [move_corners(view, offsets) if view else None for view, offsets in moves]
        patched = PatchedFrames(self.video, views, patch)
        return patched if len(sample.frames) == len(patched) else ChosenFrames(patched, sample.frames)

    def render(self, patch: Tensor) -> np.ndarray:
        """The whole video (F, H, W, 3), float32 RGB in [0, 1], with a patch (h, w, 3)."""
        frames = self.frames(patch)
        # Frame by frame into one array: a video is large, and a list of its frames beside it would double the memory.
        rendered = np.empty((len(frames), frames.height, frames.width, 3), dtype=np.float32)
        with torch.no_grad():
            for index, frame in enumerate(rendered):
                frame[:] = frames.frame(index).permute(1, 2, 0).cpu().numpy()
        return rendered


def read_scene(x: Any, boxes_xyxy: Any, metadata: Mapping[str, Any], device: torch.device, index: int) -> PatchScene:
    """Read a scene from the arguments that ARMORY passes to an attack.

    Args:
        x: The video (F, H, W, 3), RGB in [0, 1].
        boxes_xyxy: True boxes (F, 4), pixels.
        metadata: ``gs_coords`` ((4, 2) or (F, 4, 2) corners in pixels: top-left, top-right, bottom-right, bottom-left),
            ``masks`` ((F, H, W[, 3]), non-zero where the screen is visible) and optionally ``shading`` (False shows the
            patch unshaded).
        device: Of the tracker.
        index: Number of the video, for errors.

    Raises:
        InvalidValueError: For metadata that lack a key or do not fit the video, or an invalid first box.
    """
    name = f"y_patch_metadata[{index}]"
    for key in ("gs_coords", "masks"):
        if key not in metadata:
            raise InvalidValueError(f"{name}.{key}", "a value", "none", f"there are {', '.join(sorted(metadata))}")
    corners_xy = _read_corners(metadata["gs_coords"], len(x), f"{name}.gs_coords")
    masks = _read_masks(metadata["masks"], x.shape[:3], f"{name}.masks")
    video = VideoFrames(as_tensor(x, device).float())
    check_box(boxes_xyxy[0], video.width, video.height, f"y[{index}].boxes[0]")
    views = view_screens(video, corners_xy, masks, bool(np.all(metadata.get("shading", True))))
    # The largest size of the screen in a video, as in ARMORY's attack.
    largest_wh = np.ceil(np.ptp(corners_xy, axis=1).max(axis=0))
    if largest_wh.max() > MAX_SIDE:
        got = f"{largest_wh[0]:g}x{largest_wh[1]:g} pixels"
        raise InvalidValueError(f"{name}.gs_coords", f"a screen of at most {MAX_SIDE} pixels on each side", got)
    width, height = largest_wh.astype(int)
    return PatchScene(
        video, as_tensor(boxes_xyxy, torch.device("cpu")), views, (max(int(height), 1), max(int(width), 1))
    )


def _read_corners(given: Any, frames: int, name: str) -> np.ndarray:
    """Corners (F, 4, 2), pixels."""
    try:
        corners_xy = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidTypeError(name, f"numbers (4, 2) or ({frames}, 4, 2)", f"something else: {given!r:.80}") from None
    if corners_xy.shape == (4, 2):
        corners_xy = corners_xy[None].repeat(frames, axis=0)
    if corners_xy.shape != (frames, 4, 2):
        raise InvalidValueError(name, f"shape (4, 2) or ({frames}, 4, 2)", f"shape {corners_xy.shape}")
    if not np.isfinite(corners_xy).all():
        raise InvalidValueError(name, "finite corners", "NaN or infinity")
    return corners_xy


def _read_masks(given: Any, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """Where the screen is visible, (F, H, W) bool."""
    try:
        masks = np.asarray(given)
    except ValueError:  # rows of different lengths
        raise InvalidTypeError(name, "an array", f"something else: {given!r:.80}") from None
    if masks.dtype.kind not in "biuf" or (masks.dtype.kind == "f" and np.isnan(masks).any()):
        raise InvalidTypeError(name, "numbers, non-zero where the screen is visible", f"{masks.dtype}, or NaN")
    if masks.shape == (*shape, 3):
        masks = masks[..., 0]
    if masks.shape != shape:
        raise InvalidValueError(name, f"shape ({shape[0]}, {shape[1]}, {shape[2]}[, 3])", f"shape {masks.shape}")
    return np.asarray(masks != 0)
