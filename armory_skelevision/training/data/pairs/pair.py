"""What a training pair is: two crops as a tracker sees them, and what is known of the people in them.

Convention: crop coordinates are pixel edges of the crop, x right, y down; crops are square, uint8, BGR.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pairs.painting import Affine, move_points

TEMPLATE_SIDE = 127
SEARCH_SIDE = 255  # the usual one
# COCO's keypoints after a reflection: left and right change places.
MIRRORED_KEYPOINTS = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
NO_KEYPOINTS = np.zeros((17, 3), np.float32)
NOBODY = np.empty((0, 4), np.float32)


class Pair(NamedTuple):
    """One training example.

    Attributes:
        template: (127, 127, 3) uint8 BGR, the target in its middle.
        search: (side, side, 3) uint8 BGR.
        box_xyxy: (4,) float32, the target in the search crop, clipped to the frame; of a stranger, where one stands
            there in the target's stead.
        keypoints: (17, 3) float32 in the template crop: x, y, v; v = 0 for things that are no person.
        is_target: The box is the target's; else the target is not in the search crop at all.
        others_xyxy: (n, 4) float32, further people and things in the search crop that a tracker might go for.
    """

    template: NDArray[np.uint8]
    search: NDArray[np.uint8]
    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    is_target: bool = True
    others_xyxy: NDArray[np.float32] = NOBODY


def crop_height(width: float, height: float, stretch: float = 1.0) -> float:
    """How tall a figure of this shape stands in a crop that is cut around it (context 0.5), in crop pixels."""
    width = width * stretch
    margin = (width + height) / 2
    return height * TEMPLATE_SIDE / float(np.sqrt((width + margin) * (height + margin)))


def move_keypoints(keypoints: NDArray[np.float32], matrix: Affine, mirror: bool = False) -> NDArray[np.float32]:
    """Keypoints (17, 3) through an affine map into a template crop; v = 0 for those that lie outside of it.

    Args:
        keypoints: x, y, v.
        matrix: (2, 3), from edges to edges.
        mirror: The map swaps left and right, so those keypoints change places.
    """
    if not keypoints[:, 2].any():
        return NO_KEYPOINTS.copy()
    points = move_points(matrix, keypoints[:, :2])
    inside = ((points >= 0) & (points < TEMPLATE_SIDE)).all(axis=1)
    moved = np.concatenate([points, np.where(inside, keypoints[:, 2], 0)[:, None]], axis=1)
    moved[~inside] = 0
    return np.asarray(moved[MIRRORED_KEYPOINTS] if mirror else moved, np.float32)
