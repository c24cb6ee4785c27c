"""A video with a screen in it, as an attack on its tracker sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.patch.eot import Draw
from armory_skelevision.attacks.patch.metadata import read_metadata
from armory_skelevision.attacks.patch.screen import PatchedFrames, View, move_corners, view_screens
from armory_skelevision.models.inputs import check_box
from armory_skelevision.tracking import ChosenFrames, Frames, VideoFrames
from armory_skelevision.tracking.frames import as_tensor


@dataclass(frozen=True)
class Scene:
    """One video, its target and its screen.

    Attributes:
        video: The clean video, F frames.
        truth_xyxy: True boxes (F, 4).
        views: The screen in each frame, None where it is not seen.
        patch_hw: Height and width of a patch as large as the screen ever looks.
    """

    video: VideoFrames
    truth_xyxy: Tensor
    views: list[View | None]
    patch_hw: tuple[int, int]

    def frames(self, patch: Tensor, draw: Draw | None = None) -> Frames:
        """The video with a patch (h, w, 3) on the screen, on all frames or as one draw shows it."""
        if draw is None:
            return PatchedFrames(self.video, self.views, patch)
        views = self.views
        if draw.corner_offsets_xy.any():
            moves = zip(self.views, draw.corner_offsets_xy, strict=True)
            views = [move_corners(view, offsets) if view else None for view, offsets in moves]
        patched = PatchedFrames(self.video, views, patch)
        return patched if len(draw.frames) == len(patched) else ChosenFrames(patched, draw.frames)

    def render(self, patch: Tensor) -> np.ndarray:
        """The whole video with a patch, (F, H, W, 3)."""
        frames = self.frames(patch)
        # Frame by frame into one array: a video is large, and a list of its frames beside it would be as large again.
        rendered = np.empty((len(frames), frames.height, frames.width, 3), dtype=np.float32)
        with torch.no_grad():
            for index, frame in enumerate(rendered):
                frame[:] = frames.frame(index).permute(1, 2, 0).cpu().numpy()
        return rendered


def read_scene(x: Any, boxes: Any, metadata: Mapping[str, Any], device: torch.device, index: int) -> Scene:
    """The scene of video ``index`` from what ARMORY hands over.

    Args:
        x: The video (F, H, W, 3), RGB in [0, 1].
        boxes: True boxes (F, 4).
        metadata: See `read_metadata`.
        device: Where the tracker is.
        index: For messages.

    Raises:
        ValueError: For metadata that do not fit the video, or a first box that is none.
    """
    screen = read_metadata(metadata, x.shape, f"y_patch_metadata[{index}]")
    video = VideoFrames(as_tensor(x, device).float())
    check_box(boxes[0], video.width, video.height, f"y[{index}] frame 0")
    views = view_screens(video, screen.corners_xy, screen.masks, screen.shaded)
    return Scene(video, torch.as_tensor(boxes), views, screen.patch_hw)
