"""The pose that a targeted attack makes the tracker see instead of the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError

TargetPose = Literal["upside_down"] | Sequence[tuple[float, float]]


def check_target_pose(pose: TargetPose | None) -> None:
    """Refuse a list of places that are not one for each of the 17 keypoints (`InvalidValueError`)."""
    if pose is not None and not isinstance(pose, str) and len(pose) != len(KEYPOINTS):
        raise InvalidValueError("target_pose", f"{len(KEYPOINTS)} pairs [x, y], one for each keypoint", str(len(pose)))


def target_keypoints(pose: TargetPose, keypoints: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """The keypoints of a target pose for one person.

    Args:
        pose: "upside_down" turns the true pose by half a turn around the centre of the box; 17 pairs (x, y) are places
            in the box, from (0, 0) at its upper left to (1, 1) at its lower right corner.
        keypoints: The true keypoints (17, 3): x, y in pixels, visibility.
        box_xyxy: The person's box (4,), pixels.

    Returns:
        (17, 3) float32. The visibility is that of the true pose for "upside_down", so that the same keypoints count,
        and 2 (visible) for given places.
    """
    target = np.array(keypoints, dtype=np.float32)
    if isinstance(pose, str):
        target[:, :2] = box_xyxy[:2] + box_xyxy[2:] - target[:, :2]
    else:
        target[:, :2] = box_xyxy[:2] + np.asarray(pose, np.float32) * (box_xyxy[2:] - box_xyxy[:2])
        target[:, 2] = 2
    return target
