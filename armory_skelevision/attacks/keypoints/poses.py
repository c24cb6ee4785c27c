"""The true pose that an attack on keypoints starts from, and the pose that a targeted one makes the tracker see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from armory_skelevision.attacks.interface import check_metadata, check_targets
from armory_skelevision.boxes import read_numbers
from armory_skelevision.models.inputs import per_video
from armory_skelevision.validation import InvalidValueError, Range

Place = Annotated[float, Range(-10, 10)]
TargetPose = Literal["upside_down"] | Sequence[tuple[Place, Place]]


class TruePose(NamedTuple):
    """The person in frame 0 of a video whose keypoints are attacked."""

    box_xyxy: np.ndarray
    """(4,) float64, pixels."""
    keypoints: np.ndarray
    """(17, 3) float32: x, y in pixels, visibility."""


def read_true_poses(videos: Sequence[np.ndarray], y: Any, metadata: Any) -> list[TruePose]:
    """The true pose in frame 0 of each video, from the labels or from ARMORY's metadata.

    Args:
        videos: Checked videos (F, H, W, 3).
        y: Labels with ``boxes`` (F, 4), xyxy in pixels, and, unless the metadata have them, ``keypoints`` (17, 3) of
            frame 0.
        metadata: A dict for each video, which may hold ``keypoints`` (F, 17, 3), or None.

    Raises:
        InvalidValueError: For boxes or keypoints of another shape or range, naming the video.
        InvalidTypeError: For labels or metadata of another type.
    """
    known = [{}] * len(videos) if metadata is None else check_metadata(metadata, videos)
    poses = []
    for index, boxes in enumerate(check_targets(videos, y)):
        keypoints = per_video(y, videos, "y")[index].get("keypoints")
        if keypoints is None:
            given = known[index].get("keypoints")
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
    checked = read_numbers(name, keypoints, expected).astype(np.float32)
    if checked.shape != (17, 3) or not np.isfinite(checked).all():
        raise InvalidValueError(name, expected, f"shape {checked.shape}, {np.isfinite(checked).mean():.0%} finite")
    return checked
