"""The true pose that an attack on keypoints starts from, and the pose that a targeted one makes the tracker see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from armory_skelevision.attacks.interface import check_call, check_targets
from armory_skelevision.validation import InvalidValueError

TargetPose = Literal["upside_down"] | Sequence[tuple[float, float]]


class TruePose(NamedTuple):
    """The person in frame 0 of a video whose keypoints are attacked."""

    box_xyxy: np.ndarray
    """(4,) float64, pixels."""
    keypoints: np.ndarray
    """(17, 3) float32: x, y in pixels, visibility."""


def read_true_poses(
    x: Any, y: Any, metadata: Sequence[Mapping[str, Any]] | None, unknown: Mapping[str, Any]
) -> list[TruePose]:
    """The true pose in frame 0 of each video, from the labels or from ARMORY's metadata.

    Args:
        x: Videos (N, F, H, W, 3), RGB in [0, 1], F at least 1.
        y: Labels with ``boxes`` (F, 4), xyxy in pixels, and, unless the metadata have them, ``keypoints`` (17, 3) of
            frame 0.
        metadata: May hold ``keypoints`` (F, 17, 3).
        unknown: Keyword arguments that `generate` has no parameter for; refused.

    Raises:
        InvalidValueError: For videos, boxes or keypoints of another shape or range, naming the video.
        InvalidTypeError: For an unknown keyword argument, or videos that are not floating point.
    """
    check_call(x, unknown, ["x", "y", "y_patch_metadata"], min_frames=1)
    poses = []
    for index, (boxes, label) in enumerate(zip(check_targets(x, y), y, strict=True)):
        keypoints = label.get("keypoints")
        if keypoints is None and metadata is not None:
            # ARMORY's batches of metadata are those of one video
            given = metadata[min(index, len(metadata) - 1)].get("keypoints")
            keypoints = given[0] if given is not None else None
        poses.append(TruePose(np.array(boxes[0], np.float64), _check_keypoints(keypoints, f"y[{index}].keypoints")))
    return poses


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


def _check_keypoints(keypoints: Any, name: str) -> np.ndarray:
    expected = "the finite true keypoints (17, 3) of frame 0"
    if keypoints is None:
        fix = "use a data set with keypoint labels, coco_people or walker_people"
        raise InvalidValueError(name, expected, "none", fix)
    checked = np.asarray(keypoints, dtype=np.float32)
    if checked.shape != (17, 3) or not np.isfinite(checked).all():
        raise InvalidValueError(name, expected, f"shape {checked.shape}, {np.isfinite(checked).mean():.0%} finite")
    return checked
