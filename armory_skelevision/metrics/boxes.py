"""Metrics of tracked boxes.

ARMORY calls each metric once per batch with the true and the predicted boxes, ``[{"boxes": (F, 4) xyxy}, …]`` in
pixels, one dict per video. It records the value of each video (`benign_success_auc`, `adversarial_success_auc`) and the
mean over videos (`benign_mean_success_auc`).

Success, precision and normalised precision are those of the OTB benchmark (Wu, Lim, Yang, PAMI 2015) as PySOT's toolkit
computes them:

- every frame counts, including the first, whose result is the true box that the tracker is given;
- a frame whose true box has no area counts as lost for success and as found for both precisions;
- distances are between centres.

Two empty boxes say that another benchmark prescribes something else: frames whose true box is `boxes.LEFT_OUT_XYXY` are
left out of all three and of `average_overlap`, and frames whose true box is `boxes.LOST_XYXY` count as lost for all.

ARMORY's own `video_tracking_mean_success_rate` leaves the first frame out, as does its mean IoU. It knows nothing of
these boxes: a frame without the target has an IoU of 0 there, as it has in `frame_iou`.

`frame_iou`, `frame_boxes` and `true_boxes` keep every frame of every video, so that reports draw from the record. They
are recorded only where the config sets ``metric.record_metric_per_sample``.

Arguments and errors of all metrics are those of `success_auc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from armory.metrics.common import result_formatter
from armory.metrics.task import aggregator, map_to_aggregator
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY, check_corners, has_area, iou, read_numbers
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

OVERLAPS = np.arange(0, 1.05, 0.05)
"""The 21 thresholds of a success plot."""

PIXELS = 20
"""Distance up to which a frame counts for precision."""

SHARE = 0.2
"""Distance up to which a frame counts for normalised precision, in true widths and heights."""

Labels = Sequence[Mapping[str, ArrayLike]]
Boxes = NDArray[np.float64]


def success_auc(y: Labels, y_pred: Labels) -> list[float]:
    """Area under the success plot of each video: share of frames with IoU above a threshold, mean over 21 thresholds.

    Args:
        y: True boxes, ``[{"boxes": (F, 4)}, …]`` xyxy in pixels.
        y_pred: Predicted boxes, likewise.

    Returns:
        Values in [0, 20/21]: no IoU is above the last threshold, 1.

    Raises:
        InvalidValueError: If true and predicted boxes differ in shape, are not finite, or have x1 > x2 or y1 > y2, or
            all frames but the first are left out.
        InvalidTypeError: If a label has no boxes, or boxes that are not numbers.
    """
    return [float((_overlaps(*pair)[:, None] > OVERLAPS).mean()) for pair in _counted(y, y_pred)]


def precision_20px(y: Labels, y_pred: Labels) -> list[float]:
    """Share of each video's frames whose predicted centre is at most 20 pixels from the true one, in [0, 1]."""
    return [float((_distances(*pair) <= PIXELS).mean()) for pair in _counted(y, y_pred)]


def normalised_precision(y: Labels, y_pred: Labels) -> list[float]:
    """Share of each video's frames whose centre distance, in true widths and heights, is at most 0.2.

    Source: Müller et al., TrackingNet, ECCV 2018, with the threshold of PySOT's tables.
    """
    return [float((_distances(*pair, normalised=True) <= SHARE).mean()) for pair in _counted(y, y_pred)]


def average_overlap(y: Labels, y_pred: Labels) -> list[float]:
    """Mean IoU of each video over the frames that count, without the first, in [0, 1].

    Source: the average overlap of GOT-10k (Huang, Zhao, Huang, PAMI 2021) for one sequence. Without left-out frames it
    is ARMORY's mean IoU.
    """
    return [float(_iou(*pair)[1:].mean()) for pair in _counted(y, y_pred)]


def frame_iou(y: Labels, y_pred: Labels) -> list[list[float]]:
    """IoU of each frame of each video, including the first, as the tracker predicted it: F values in [0, 1]."""
    return [_iou(*pair).tolist() for pair in _pairs(y, y_pred)]


def frame_boxes(y: Labels, y_pred: Labels) -> list[list[list[float]]]:
    """The predicted box of each frame of each video, including the first: F boxes xyxy in pixels, as predicted.

    They are not rounded, so that other toolkits compute the same numbers from them.
    """
    return [found.tolist() for _, found in _pairs(y, y_pred)]


def true_boxes(y: Labels, y_pred: Labels) -> list[list[list[float]]]:
    """The true box of each frame of each video, in the form of `frame_boxes`."""
    return [truth.tolist() for truth, _ in _pairs(y, y_pred)]


@aggregator  # type: ignore[untyped-decorator]
def mean_frame_iou(videos: Sequence[Sequence[float]]) -> float:
    """What ARMORY writes as the mean of `frame_iou`: the mean IoU without first frames, over frames, then videos."""
    return float(np.mean([np.mean(overlaps[1:]) for overlaps in videos]))


@aggregator  # type: ignore[untyped-decorator]
def tracked_frames(videos: Sequence[Sequence[Sequence[float]]]) -> int:
    """What ARMORY writes in place of a mean of `frame_boxes`: the number of frames of all videos together."""
    return sum(map(len, videos))


@aggregator  # type: ignore[untyped-decorator]
def annotated_frames(videos: Sequence[Sequence[Sequence[float]]]) -> int:
    """What ARMORY writes in place of a mean of `true_boxes`: the number of frames whose true box has an area."""
    return sum(int(has_area(np.asarray(boxes)).sum()) for boxes in videos)


# ARMORY would write NumPy's mean of all numbers, which is meaningless here and fails where videos differ in length.
map_to_aggregator("frame_iou", mean_frame_iou.__name__)
map_to_aggregator("frame_boxes", tracked_frames.__name__)
map_to_aggregator("true_boxes", annotated_frames.__name__)


@result_formatter("frame_boxes")  # type: ignore[untyped-decorator]
@result_formatter("true_boxes")  # type: ignore[untyped-decorator]
def format_boxes(videos: Sequence[Sequence[Sequence[float]]]) -> str:
    """What ARMORY logs of the boxes of a batch, instead of a mean of their coordinates."""
    return f"{sum(map(len, videos))} boxes"


def _counted(y: Labels, y_pred: Labels) -> list[tuple[Boxes, Boxes]]:
    """True and predicted boxes of the frames that count, the first prediction replaced by the box that is given."""
    counted = []
    for index, (truth, found) in enumerate(_pairs(y, y_pred)):
        counts = (truth != LEFT_OUT_XYXY).any(axis=1)
        if not counts[1:].any():
            got = "frames that are left out"
            raise InvalidValueError(f"video {index}", "a true box beside that of the first frame", got)
        counted.append((truth[counts], np.concatenate([truth[:1], found[1:]])[counts]))
    return counted


def _pairs(y: Labels, y_pred: Labels) -> list[tuple[Boxes, Boxes]]:
    """True and predicted boxes of each video, (F, 4) each, checked."""
    if len(y) != len(y_pred) or not len(y):
        raise InvalidValueError("y_pred", f"predictions of {len(y)} videos, at least 1", str(len(y_pred)))
    pairs = []
    for index, labels in enumerate(zip(y, y_pred, strict=True)):
        truth, found = (_read_boxes(f"video {index}", label) for label in labels)
        if truth.ndim != 2 or truth.shape[1] != 4 or len(truth) < 2 or truth.shape != found.shape:
            expected = "true and predicted boxes (F, 4) of the same 2 or more frames"
            raise InvalidValueError(f"video {index}", expected, f"{truth.shape} and {found.shape}")
        for boxes_xyxy in (truth, found):
            check_corners(f"video {index}", boxes_xyxy)
        pairs.append((truth, found))
    return pairs


def _read_boxes(key: str, label: Any) -> Boxes:
    expected = 'a label with "boxes" (F, 4)'
    if not isinstance(label, Mapping) or "boxes" not in label:
        raise InvalidTypeError(
            key, expected, f"{sorted(label) if isinstance(label, Mapping) else type(label).__name__}"
        )
    return read_numbers(key, label["boxes"], expected).astype(np.float64)


def _iou(truth_xyxy: Boxes, found_xyxy: Boxes) -> Boxes:
    overlaps: Boxes = iou(torch.from_numpy(truth_xyxy), torch.from_numpy(found_xyxy)).numpy()
    return overlaps


def _overlaps(truth_xyxy: Boxes, found_xyxy: Boxes) -> Boxes:
    """IoU per frame (F,), -1 where there is nothing to be found."""
    return np.where(has_area(truth_xyxy), _iou(truth_xyxy, found_xyxy), -1.0)


def _distances(truth_xyxy: Boxes, found_xyxy: Boxes, normalised: bool = False) -> Boxes:
    """Distance of centres per frame (F,): infinite where the target is lost, else -1 where nothing is to be found."""
    there = has_area(truth_xyxy)
    offsets = (found_xyxy[:, :2] + found_xyxy[:, 2:] - truth_xyxy[:, :2] - truth_xyxy[:, 2:]) / 2
    if normalised:
        offsets = offsets / np.where(there[:, None], truth_xyxy[:, 2:] - truth_xyxy[:, :2], 1.0)
    without = np.where((truth_xyxy == LOST_XYXY).all(axis=1), np.inf, -1.0)
    return np.where(there, np.sqrt((offsets**2).sum(axis=1)), without)
