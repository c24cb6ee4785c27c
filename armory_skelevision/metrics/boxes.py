"""Metrics of tracking.

ARMORY calls them once per batch with the true and the predicted boxes, ``[{"boxes": (F, 4) xyxy}, …]``, one dict per
video, and keeps what comes out for each video (`benign_success_auc`, `adversarial_success_auc`) beside the mean over
videos (`benign_mean_success_auc`).

Success, precision and normalised precision are those of the OTB benchmark (Wu, Lim, Yang, PAMI 2015) as PySOT's toolkit
computes them:

- every frame counts, the first one too; there the result is the true box, which the tracker is given;
- a frame whose true box has no area counts as lost for success and as found for both precisions;
- distances are between centres.

ARMORY's own `video_tracking_mean_success_rate` leaves the first frame out, as does its mean IoU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from armory.metrics.task import aggregator, map_to_aggregator
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import iou

OVERLAPS = np.arange(0, 1.05, 0.05)
"""The 21 thresholds of a success plot."""

PIXELS = 20
"""Distance up to which a frame counts for precision."""

SHARE = 0.2
"""Distance up to which a frame counts for normalised precision, in true widths and heights."""

Labels = Sequence[Mapping[str, ArrayLike]]
Boxes = NDArray[np.float64]


def success_auc(y: Labels, y_pred: Labels) -> list[float]:
    """Area under the success plot of each video: share of frames whose IoU is above a threshold, mean over thresholds.

    Args:
        y: True boxes, ``[{"boxes": (F, 4)}, …]`` xyxy in pixels.
        y_pred: Predicted boxes, likewise.

    Returns:
        Values in [0, 20/21]: no IoU is above the last threshold, 1.

    Raises:
        ValueError: For boxes that do not fit together or are not finite, naming the video.
    """
    return [float((_overlaps(*pair)[:, None] > OVERLAPS).mean()) for pair in _counted(y, y_pred)]


def precision_20px(y: Labels, y_pred: Labels) -> list[float]:
    """Share of each video's frames whose predicted centre is at most 20 pixels from the true one; see `success_auc`."""
    return [float((_distances(*pair) <= PIXELS).mean()) for pair in _counted(y, y_pred)]


def normalised_precision(y: Labels, y_pred: Labels) -> list[float]:
    """Precision at 0.2, with distances divided by the true box's width and height; see `success_auc`.

    Source: Müller et al., TrackingNet, ECCV 2018; the threshold is the one that PySOT's table shows.
    """
    return [float((_distances(*pair, normalised=True) <= SHARE).mean()) for pair in _counted(y, y_pred)]


def frame_iou(y: Labels, y_pred: Labels) -> list[list[float]]:
    """IoU of every frame of each video, the first included, as the tracker predicted it; see `success_auc`."""
    return [_iou(*pair).tolist() for pair in _pairs(y, y_pred)]


@aggregator  # type: ignore[untyped-decorator]
def mean_frame_iou(videos: Sequence[Sequence[float]]) -> float:
    """What ARMORY writes as the mean of `frame_iou`: the mean IoU without first frames, over frames, then videos."""
    return float(np.mean([np.mean(overlaps[1:]) for overlaps in videos]))


# ARMORY takes NumPy's mean of all that a metric gave, which means nothing here and fails where videos differ in length.
map_to_aggregator("frame_iou", mean_frame_iou.__name__)


def _counted(y: Labels, y_pred: Labels) -> list[tuple[Boxes, Boxes]]:
    """The pairs with the first prediction replaced by the box that was given."""
    return [(truth, np.concatenate([truth[:1], found[1:]])) for truth, found in _pairs(y, y_pred)]


def _pairs(y: Labels, y_pred: Labels) -> list[tuple[Boxes, Boxes]]:
    if len(y) != len(y_pred):
        raise ValueError(f"expected predictions of {len(y)} videos, got {len(y_pred)}")
    pairs = []
    for index, labels in enumerate(zip(y, y_pred, strict=True)):
        truth, found = (np.asarray(label["boxes"], dtype=np.float64) for label in labels)
        if truth.ndim != 2 or truth.shape[1] != 4 or len(truth) < 2 or truth.shape != found.shape:
            raise ValueError(
                f"video {index}: expected true and predicted boxes (F, 4) of the same 2 or more frames, "
                f"got {truth.shape} and {found.shape}"
            )
        if not (np.isfinite(truth).all() and np.isfinite(found).all()):
            raise ValueError(f"video {index}: expected finite boxes, found NaN or infinity")
        pairs.append((truth, found))
    return pairs


def _iou(truth_xyxy: Boxes, found_xyxy: Boxes) -> Boxes:
    overlaps: Boxes = iou(torch.from_numpy(truth_xyxy), torch.from_numpy(found_xyxy)).numpy()
    return overlaps


def _overlaps(truth_xyxy: Boxes, found_xyxy: Boxes) -> Boxes:
    """IoU per frame (F,), -1 where there is nothing to be found."""
    return np.where(_has_area(truth_xyxy), _iou(truth_xyxy, found_xyxy), -1.0)


def _distances(truth_xyxy: Boxes, found_xyxy: Boxes, normalised: bool = False) -> Boxes:
    """Distance of centres per frame (F,), -1 where there is nothing to be found."""
    there = _has_area(truth_xyxy)
    offsets = (found_xyxy[:, :2] + found_xyxy[:, 2:] - truth_xyxy[:, :2] - truth_xyxy[:, 2:]) / 2
    if normalised:
        offsets = offsets / np.where(there[:, None], truth_xyxy[:, 2:] - truth_xyxy[:, :2], 1.0)
    return np.where(there, np.sqrt((offsets**2).sum(axis=1)), -1.0)


def _has_area(box_xyxy: Boxes) -> NDArray[np.bool_]:
    return (box_xyxy[:, 2] > box_xyxy[:, 0]) & (box_xyxy[:, 3] > box_xyxy[:, 1])
