"""The pose that a targeted attack wants to be seen instead of the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Goal = Literal["upside_down"] | Sequence[Sequence[float]]


def check_goal(goal: Any) -> None:
    """Refuse what is neither "upside_down", nor 17 places, nor None (ValueError)."""
    if goal is None or goal == "upside_down":
        return
    places = np.asarray(goal, dtype=object)
    if places.shape != (17, 2) or not all(isinstance(value, int | float) for value in places.flat):
        raise ValueError(
            'goal: expected "upside_down", 17 pairs [x, y] in widths and heights of the box, or null for an '
            f"untargeted attack, got {goal!r}"
        )


def aim(goal: Goal, keypoints: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """The pose wanted in place of a person's.

    Args:
        goal: "upside_down" turns the true pose by half a turn around the box's middle; 17 pairs [x, y] are places in
            the box, from (0, 0) at its upper left to (1, 1) at its lower right corner.
        keypoints: The true ones (17, 3), pixels.
        box_xyxy: (4,) the person's box.

    Returns:
        (17, 3); visibility as in the true pose, so that the same keypoints count, and all keypoints for given places.
    """
    wanted = np.array(keypoints, dtype=np.float32)
    if isinstance(goal, str):
        wanted[:, :2] = box_xyxy[:2] + box_xyxy[2:] - wanted[:, :2]
    else:
        wanted[:, :2] = box_xyxy[:2] + np.asarray(goal, np.float32) * (box_xyxy[2:] - box_xyxy[:2])
        wanted[:, 2] = 2
    return wanted
