"""Whether the numbers of a result file agree with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.metric_names import PER_VIDEO
from armory_skelevision.results.records import SideResult
from armory_skelevision.validation import InvalidValueError

_ROUNDING = 1e-5
"""Relative and absolute: ARMORY takes means of numbers that were computed in 32 bits."""

_OF_FRAMES = 1e-3
"""Of a video's mean IoU: its boxes were computed in 32 bits, those of its frames are in 64."""

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
    for number, (iou, frames) in enumerate(zip(side.video_ious, side.frame_ious, strict=False)):
        own = math.fsum(frames[1:]) / len(frames[1:]) if len(frames) > 1 else math.nan
        if iou is not None and abs(iou - own) > _OF_FRAMES:
            expected = f"{own:.6g} for video {number}, the mean of its frames but the first"
            raise InvalidValueError(f"{name}_{METRIC}", expected, f"{iou:.6g}", "the file was changed")
