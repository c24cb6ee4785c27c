"""A video with a screen in it, on which an attack shows its patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.patch.eot import EOTSample
from armory_skelevision.attacks.patch.metadata import read_metadata
from armory_skelevision.attacks.patch.screen import PatchedFrames, ScreenView, move_corners, view_screens
from armory_skelevision.models.inputs import check_box
from armory_skelevision.tracking import ChosenFrames, Frames, VideoFrames
from armory_skelevision.tracking.frames import as_tensor


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
        """The video with a patch (h, w, 3), RGB in [0, 1], on the screen.

        Args:
            patch: The patch; gradients flow back to it.
            sample: Moves the corners and selects frames; None changes neither.
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
        metadata: See `read_metadata`.
        device: Of the tracker.
        index: Number of the video, for errors.

    Raises:
        InvalidValueError: For metadata that do not fit the video, or an invalid first box.
    """
    screen = read_metadata(metadata, x.shape, f"y_patch_metadata[{index}]")
    video = VideoFrames(as_tensor(x, device).float())
    check_box(boxes_xyxy[0], video.width, video.height, f"y[{index}].boxes[0]")
    views = view_screens(video, screen.corners_xy, screen.masks, screen.shaded)
    return PatchScene(video, torch.as_tensor(boxes_xyxy), views, screen.patch_hw)
