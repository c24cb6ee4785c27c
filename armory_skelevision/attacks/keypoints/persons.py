"""Whose keypoints are attacked: what ARMORY hands over, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision.models.inputs import check_box, check_labels, check_video


class Person(NamedTuple):
    """Whose keypoints are attacked, in frame 0 of a video.

    Attributes:
        box_xyxy: (4,) float64, pixels.
        keypoints: (17, 3) float32: x, y in pixels, visibility.
    """

    box_xyxy: np.ndarray
    keypoints: np.ndarray


def read_persons(
    x: Any, y: Any, metadata: Sequence[Mapping[str, Any]] | None, unknown: Mapping[str, Any]
) -> list[Person]:
    """The person of each video.

    Args:
        x: Videos (N, F, H, W, 3), F at least 1.
        y: Labels with ``boxes`` (F, 4) and, unless the metadata have them, ``keypoints`` (17, 3) of frame 0.
        metadata: May hold ``keypoints`` (F, 17, 3).
        unknown: Keywords that `generate` does not know; refused.

    Raises:
        ValueError, TypeError: For what does not fit together, naming the video.
    """
    if unknown:
        raise TypeError(f"generate: unknown keywords {sorted(unknown)}; known are {['x', 'y', 'y_patch_metadata']}")
    for index, video in enumerate(x):
        check_video(video, f"x[{index}]", min_frames=1)
    persons = []
    for index, (video, boxes, label) in enumerate(zip(x, check_labels(y, x), y, strict=True)):
        box = check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}] frame 0").numpy()
        keypoints = label.get("keypoints")
        if keypoints is None and metadata is not None:
            # ARMORY's batches of metadata are those of one video
            given = metadata[min(index, len(metadata) - 1)].get("keypoints")
            keypoints = given[0] if given is not None else None
        persons.append(Person(box, _check_keypoints(keypoints, f"y[{index}]")))
    return persons


def _check_keypoints(keypoints: Any, name: str) -> np.ndarray:
    if keypoints is None:
        raise ValueError(
            f'{name}: the true keypoints are needed, "keypoints" (17, 3) of frame 0; the data sets coco_people and '
            "walker_people give them"
        )
    checked = np.asarray(keypoints, dtype=np.float32)
    if checked.shape != (17, 3) or not np.isfinite(checked).all():
        raise ValueError(f"{name}: expected finite keypoints (17, 3) of frame 0, got shape {checked.shape}")
    return checked
