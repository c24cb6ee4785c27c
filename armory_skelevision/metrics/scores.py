"""Metrics of the tracker's confidence, the ``scores`` (F,) that a prediction has beside its boxes.

Trackers of this package predict them: the network's score of the box that the tracker follows, in [0, 1]. A third-party
tracker may give any numbers, or none. Without scores all values here are NaN.

`frame_scores` keeps the score of every frame, as `frame_boxes` keeps the boxes. From it, results and reports derive
`lost_but_sure` and `mean_attack_success_rate`, so configs need not name these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from armory.metrics.common import result_formatter
from armory.metrics.task import aggregator, map_to_aggregator
from numpy.typing import NDArray

from armory_skelevision import confidence
from armory_skelevision.boxes import read_numbers
from armory_skelevision.metrics.boxes import Labels, frame_boxes, frame_iou, true_boxes
from armory_skelevision.validation import InvalidValueError


def frame_scores(y: Labels, y_pred: Labels) -> list[list[float]]:
    """The tracker's score of each frame of each video, including the first: F numbers; NaN where there is none.

    Args:
        y: True boxes, ``[{"boxes": (F, 4)}, …]`` xyxy in pixels.
        y_pred: Predictions, likewise, with ``"scores"`` (F,) if the tracker has them.

    Raises:
        InvalidValueError: For boxes that `success_auc` refuses, scores of another shape, or infinite ones.
        InvalidTypeError: Likewise for boxes, or for scores that are not numbers.
    """
    return [scores.tolist() for scores in _read_scores(y, y_pred)]


def mean_attack_success_rate(y: Labels, y_pred: Labels) -> list[float]:
    """FlyTrap's mean attack success rate of each video, in [0, 1]: boxes that shrink while the tracker stays sure.

    See `armory_skelevision.confidence.mean_attack_success_rate` for the definition. NaN without scores.
    """
    videos = zip(_read_scores(y, y_pred), frame_boxes(y, y_pred), true_boxes(y, y_pred), strict=True)
    return [confidence.mean_attack_success_rate(*map(np.asarray, video)) for video in videos]


def lost_but_sure(y: Labels, y_pred: Labels, y_benign: Labels) -> list[float]:
    """Share of each video's frames with an IoU below 0.2 and a score above the benign median; configs cannot name it.

    ARMORY gives a metric the predictions of one side alone, so results derive this one from `frame_scores`.

    Args:
        y: True boxes.
        y_pred: Predictions for the attacked videos, or the benign ones.
        y_benign: Predictions for the videos as they are.

    Returns:
        Values in [0, 1]; NaN without scores. See `armory_skelevision.confidence.lost_but_sure`.
    """
    scores = _read_scores(y, y_pred), _read_scores(y, y_benign)
    videos = zip(frame_iou(y, y_pred), *scores, true_boxes(y, y_pred), strict=True)
    return [confidence.lost_but_sure(*map(np.asarray, video)) for video in videos]


@aggregator  # type: ignore[untyped-decorator]
def scored_frames(videos: Sequence[Sequence[float]]) -> int:
    """What ARMORY writes in place of a mean of `frame_scores`: the number of frames of all videos with a score."""
    return sum(int(np.isfinite(scores).sum()) for scores in videos)


# ARMORY would write NumPy's mean of all numbers, which fails where videos differ in length.
map_to_aggregator("frame_scores", scored_frames.__name__)


@result_formatter("frame_scores")  # type: ignore[untyped-decorator]
def format_scores(videos: Sequence[Sequence[float]]) -> str:
    """What ARMORY logs of the scores of a batch, instead of all of them."""
    return f"{scored_frames(videos)} scores"


def _read_scores(y: Labels, y_pred: Labels) -> list[NDArray[np.float64]]:
    """The scores of each video, (F,), NaN where there are none."""
    pairs = enumerate(zip(true_boxes(y, y_pred), y_pred, strict=True))
    return [_read_video(f"video {index}", len(truth), label) for index, (truth, label) in pairs]


def _read_video(key: str, count: int, label: Mapping[str, Any]) -> NDArray[np.float64]:
    scores = label.get("scores")
    if scores is None:
        return np.full(count, np.nan)
    expected = f"scores ({count},), one per frame, NaN for none"
    numbers = read_numbers(key, scores, expected).astype(np.float64)
    if numbers.shape != (count,) or np.isinf(numbers).any():
        got = f"shape {numbers.shape}" if numbers.shape != (count,) else "infinity"
        raise InvalidValueError(key, expected, got)
    return numbers
