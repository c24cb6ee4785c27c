"""The patch that the SkeleVision paper overlays on OTB videos, which have no green screen.

Das et al., "SkeleVision: Towards Adversarial Resiliency of Person Tracking with Multi-Task Learning", section 5.1:
a static patch fills the frame except for a margin of 10 % at each side; in every frame the true box and 25 pixels
around it stay uncovered; the first frame is benign, so that the template is, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.1
"""Fraction of the frame's width and height that stays free at each side."""
PADDING = 25
"""Pixels around the true box that stay free."""


def place_patch(boxes_xyxy: NDArray[np.float32], height: int, width: int) -> dict[str, Any]:
    """Place the patch in a video of frames (height, width) with the true boxes (F, 4), pixel edges.

    Returns:
        ``gs_coords`` (F, 4, 2) int64, corners as x, y: top left, top right, bottom right, bottom left, the same in
        every frame; ``masks`` (F, H, W, 3) uint8, 1 where the patch is visible; ``shading`` False: the frames show no
        screen whose brightness the patch should take.
    """
    frames = len(boxes_xyxy)
    left, right = int(MARGIN * width), int((1 - MARGIN) * width)
    top, bottom = int(MARGIN * height), int((1 - MARGIN) * height)
    corners_xy = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.int64)
    masks = np.zeros((frames, height, width, 3), dtype=np.uint8)
    masks[1:, top:bottom, left:right] = 1
    near = np.maximum(np.floor(boxes_xyxy[:, :2]) - PADDING, 0).astype(int)
    far = np.maximum(np.ceil(boxes_xyxy[:, 2:]) + PADDING, 0).astype(int)
    for mask, (x1, y1), (x2, y2) in zip(masks, near, far, strict=True):
        mask[y1:y2, x1:x2] = 0
    return {"gs_coords": np.tile(corners_xy, (frames, 1, 1)), "masks": masks, "shading": False}
