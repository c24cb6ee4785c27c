"""Whether the numbers of a result file agree with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.metric_names import FRAME_IOU, PER_VIDEO
from armory_skelevision.results.records import SideResult
from armory_skelevision.validation import InvalidValueError

_ROUNDING = 1e-5
"""Relative and absolute: ARMORY takes means of numbers that were computed in 32 bits."""

_OF_FRAMES = 1e-3
"""Of a video's mean IoU: its boxes were computed in 32 bits, those of its frames are in 64."""

_OF_BOXES = 0.05
"""Of a frame's IoU, times the sum of the true box's 1 / width and 1 / height: boxes have two decimals."""

_DROPPED = 'ARMORY drops records above the metric\'s "max_record_size"; set it to null'


def check_mean(key: str, mean: float, videos: Sequence[float]) -> None:
    """Refuse a mean that is not that of the values for each video (`InvalidValueError`)."""
    own = math.fsum(videos) / len(videos)
    if not math.isclose(mean, own, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
        raise InvalidValueError(key, f"the mean of its videos, {own:.6g}", f"{mean:.6g}", "the file was changed")


def check_counts(sides: Mapping[str, SideResult], further: Mapping[str, int]) -> None:
    """Refuse lists that cannot belong to the same videos and frames (`InvalidValueError`).

    Args:
        sides: What was measured on each side, by its name.
        further: Of how many videos something else was recorded, by its key.
    """
    counts = dict(further)
    for name, side in sides.items():
        counts |= {f"{name}_{metric}": len(values) for metric, values in side.videos.items() if metric in PER_VIDEO}
        counts |= {f"{name}_{metric}": len(videos) for metric, videos in side.frames().items()}
    recorded = {key: count for key, count in counts.items() if count}
    first = next((key for key in recorded if key.endswith(f"_{METRIC}")), next(iter(recorded), ""))
    for key, count in recorded.items():
        if count != recorded[first]:
            raise InvalidValueError(key, f"{recorded[first]} videos, as in {first}", str(count), _DROPPED)


def check_frames(name: str, side: SideResult) -> None:
    """Refuse frames that cannot be those of the same video, or have another mean IoU (`InvalidValueError`)."""
    lengths: dict[int, tuple[str, int]] = {}
    for metric, videos in side.frames().items():
        for number, frames in enumerate(videos):
            first, count = lengths.setdefault(number, (metric, len(frames)))
            if len(frames) != count:
                expected = f"{count} frames of video {number}, as in {name}_{first}"
                raise InvalidValueError(f"{name}_{metric}", expected, str(len(frames)))
    _check_boxes(name, side)
    for number, (iou, frames) in enumerate(zip(side.video_ious, side.frame_ious, strict=False)):
        rest = frames[1:]
        if iou is None or not rest:
            continue
        own = math.fsum(rest) / len(rest)
        if not abs(iou - own) <= _OF_FRAMES:
            expected = f"{own:.6g} for video {number}, the mean of its frames but the first"
            raise InvalidValueError(f"{name}_{METRIC}", expected, f"{iou:.6g}", "the file was changed")


def _check_boxes(name: str, side: SideResult) -> None:
    """Refuse IoUs of frames that are not those of their boxes, as far as all three are there (`InvalidValueError`)."""
    videos = zip(side.frame_ious, side.true_boxes_xyxy, side.boxes_xyxy, strict=False)
    for number, (ious, *boxes) in enumerate(videos):
        truth_xyxy, found_xyxy = (np.asarray(each, np.float64) for each in boxes)
        width, height = (truth_xyxy[:, 2:] - truth_xyxy[:, :2]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            off = abs(_overlaps(truth_xyxy, found_xyxy) - ious) > _OF_FRAMES + _OF_BOXES * (1 / width + 1 / height)
        wrong = np.flatnonzero(off & (width > 0) & (height > 0))  # NaN is a missing value, and off by nothing
        if len(wrong):
            expected = f"the IoU of both boxes in frame {wrong[0]} of video {number}"
            raise InvalidValueError(f"{name}_{FRAME_IOU}", expected, f"{ious[wrong[0]]:.6g}", "the file was changed")


def _overlaps(a_xyxy: NDArray[np.float64], b_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of boxes (F, 4), those that are not empty: (F,)."""
    sides = np.minimum(a_xyxy[:, 2:], b_xyxy[:, 2:]) - np.maximum(a_xyxy[:, :2], b_xyxy[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = [(each[:, 2:] - each[:, :2]).clip(0).prod(axis=1) for each in (a_xyxy, b_xyxy)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))
