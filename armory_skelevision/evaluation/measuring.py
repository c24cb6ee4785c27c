"""How well boxes fit the true ones, by the metrics of an evaluation with `armory run`."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import loguru
import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import read_numbers
from armory_skelevision.validation import InvalidTypeError, InvalidValueError


@dataclass(frozen=True, eq=False)
class TrackedBoxes:
    """Boxes of a tracked video and how well they fit. The metrics are those of `armory_skelevision.metrics`.

    Attributes:
        boxes_xyxy: Predicted boxes (F, 4) in pixels, the first frame's included.
        scores: The network's confidence in each box, (F,) in [0, 1]; None for trackers that do not predict it.
        frame_ious: IoU of each frame with the true box, F numbers in [0, 1].
        mean_iou: Mean IoU over frames in [0, 1], without frame 0, whose box is given: ARMORY's
            ``video_tracking_mean_iou``.
        average_overlap: The same over the frames that count: without those that a benchmark leaves out.
        success_auc: Area under the success plot, in [0, 20/21].
        precision_20px: Share of frames whose predicted centre is at most 20 pixels from the true one.
        normalised_precision: The same for 0.2 of the true width and height.
        lost_but_sure: Share of frames with an IoU below 0.2 and a score above the median of the benign video's; None
            without scores. See `armory_skelevision.confidence`.
        mean_attack_success_rate: That of FlyTrap, in [0, 1]: boxes that shrink while the score stays high; None without
            scores.
    """

    boxes_xyxy: NDArray[np.float32] = field(repr=False)
    scores: NDArray[np.float32] | None = field(repr=False)
    frame_ious: list[float] = field(repr=False)
    mean_iou: float
    average_overlap: float
    success_auc: float
    precision_20px: float
    normalised_precision: float
    lost_but_sure: float | None = None
    mean_attack_success_rate: float | None = None


def measure_boxes(
    prediction: Mapping[str, Any], truth_xyxy: ArrayLike, benign_scores: NDArray[Any] | None = None
) -> TrackedBoxes:
    """Measure how well a video was tracked.

    Args:
        prediction: What was predicted: ``boxes`` (F, 4) xyxy in pixels, and ``scores`` (F,) if it has them.
        truth_xyxy: True boxes (F, 4).
        benign_scores: The scores (F,) in the video as it is, of an attacked one; None for the video as it is.

    Raises:
        ValueError: For boxes that do not fit together or are not finite.
    """
    with quiet_armory():
        from armory.metrics.task import video_tracking_mean_iou

        from armory_skelevision import metrics
    boxes_xyxy, scores = read_prediction(prediction, len(np.asarray(truth_xyxy)))
    labels: tuple[Any, Any] = [{"boxes": truth_xyxy}], [{"boxes": boxes_xyxy, "scores": scores}]
    benign: Any = [{"boxes": boxes_xyxy, "scores": scores if benign_scores is None else benign_scores}]
    frame_ious = metrics.frame_iou(*labels)[0]  # refuses what ARMORY's metric would count
    with quiet_armory():  # it warns of each frame without the target
        mean_iou = float(video_tracking_mean_iou(*labels)[0])
    return TrackedBoxes(
        boxes_xyxy,
        scores=scores,
        frame_ious=frame_ious,
        mean_iou=mean_iou,
        average_overlap=metrics.average_overlap(*labels)[0],
        success_auc=metrics.success_auc(*labels)[0],
        precision_20px=metrics.precision_20px(*labels)[0],
        normalised_precision=metrics.normalised_precision(*labels)[0],
        lost_but_sure=_none_if_nan(metrics.lost_but_sure(*labels, benign)[0]),
        mean_attack_success_rate=_none_if_nan(metrics.mean_attack_success_rate(*labels)[0]),
    )


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def read_prediction(prediction: Any, count: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Boxes (F, 4) and scores (F,), if any, of any tracker's prediction for F frames; they need not be arrays.

    Raises:
        InvalidTypeError: If it has no boxes.
        InvalidValueError: If boxes or scores are of another shape, or scores are not finite.
    """
    key, expected = "tracker", f'a prediction with "boxes" ({count}, 4), and perhaps "scores" ({count},)'
    if not isinstance(prediction, Mapping) or "boxes" not in prediction:
        got = list(prediction) if isinstance(prediction, Mapping) else type(prediction).__name__
        raise InvalidTypeError(key, expected, str(got))
    boxes_xyxy, scores = read_numbers(key, prediction["boxes"], expected), prediction.get("scores")
    if boxes_xyxy.shape != (count, 4):
        raise InvalidValueError(key, expected, f"boxes of shape {boxes_xyxy.shape}")
    if scores is not None:
        scores = read_numbers(key, scores, expected)
        if scores.shape != (count,) or not np.isfinite(scores).all():
            raise InvalidValueError(key, expected, f"scores of shape {scores.shape}, or NaN")
    return boxes_xyxy, scores


@contextlib.contextmanager
def quiet_armory() -> Iterator[None]:
    """Import ARMORY, and with it TensorFlow, without what they print on the way."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    loguru.logger.disable("armory")
    try:
        yield
    finally:
        loguru.logger.enable("armory")
