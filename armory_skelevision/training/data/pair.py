"""A training pair: two crops as a tracker sees them, and their annotation.

Convention: crop coordinates are pixel edges of the crop, x right, y down; crops are square, uint8, BGR.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import Affine, move_points

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR."""

TEMPLATE_SIDE = 127
SEARCH_SIDE = 255  # PySOT's in training
# COCO's keypoints after a reflection: left and right change places.
MIRRORED_KEYPOINTS = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
NO_KEYPOINTS = np.zeros((17, 3), np.float32)
NO_BOXES = np.empty((0, 4), np.float32)


class TrainingPair(NamedTuple):
    """One training example."""

    template: Picture
    """(127, 127, 3), the target in its middle."""
    search: Picture
    """(side, side, 3)."""
    box_xyxy: NDArray[np.float32]
    """(4,) float32, the target in the search crop, clipped to the frame; in a negative pair, the person or
    object in its place."""
    keypoints: NDArray[np.float32]
    """(17, 3) float32 in template-crop pixels: x, y, v; v = 0 for objects and without annotation."""
    is_positive: bool = True
    """Whether the search crop shows the target. In a negative pair it does not."""
    distractors_xyxy: NDArray[np.float32] = NO_BOXES
    """(n, 4) float32, further people and objects in the search crop."""


def crop_height(width: float, height: float, stretch: float = 1.0) -> float:
    """Height in crop pixels of a person in the template crop around it (context 0.5).

    Width and height of the person may be in any unit; ``stretch`` is a factor of the width.
    """
    width = width * stretch
    margin = (width + height) / 2
    return height * TEMPLATE_SIDE / float(np.sqrt((width + margin) * (height + margin)))


def move_keypoints(keypoints: NDArray[np.float32], matrix: Affine, mirror: bool = False) -> NDArray[np.float32]:
    """Map keypoints (17, 3) from their image into a template crop; v = 0 for those outside the crop.

    Left and right change places if the map mirrors the image.
    """
    if not keypoints[:, 2].any():
        return NO_KEYPOINTS.copy()
    points = move_points(matrix, keypoints[:, :2])
    inside = ((points >= 0) & (points < TEMPLATE_SIDE)).all(axis=1)
    moved = np.concatenate([points, np.where(inside, keypoints[:, 2], 0)[:, None]], axis=1)
    moved[~inside] = 0
    return np.asarray(moved[MIRRORED_KEYPOINTS] if mirror else moved, np.float32)
