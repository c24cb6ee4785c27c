"""Measures of tracking that need the tracker's confidence: its score for the box of each frame.

Counted are the frames after the first, whose box is given, in which there is a target: a true box with an area.
"""

from __future__ import annotations

import math
from bisect import insort

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.boxes import has_area

LOST = 0.2
"""IoU below which the target counts as lost."""

THRESHOLDS = np.arange(1, 10) / 10
"""Thresholds of the mean attack success rate, for scores and for areas alike."""

MAX_SCORE = 1.001
"""Largest score of a tracker whose scale is [0, 1], with what rounding may add."""

LOST_BELOW = 0.5
"""Share of the median of all earlier scores below which a score says that the target may be lost."""

Values = NDArray[np.float64]


def lost_but_sure(ious: Values, scores: Values, benign_scores: Values, truth_xyxy: Values) -> float:
    """Share of frames in which the target is lost, and the tracker surer than it mostly is.

    Lost is an IoU below `LOST`. Surer is a score above the median of the scores that the tracker gives in the same
    frames of the video as it is, without an attack. Scores are compared with scores of the same tracker alone, so any
    scale will do.

    Args:
        ious: IoU of each frame with the true box, (F,).
        scores: The tracker's score of each frame, (F,).
        benign_scores: Its scores in the benign video, (F,); ``scores`` themselves for that video.
        truth_xyxy: True boxes (F, 4).

    Returns:
        A number in [0, 1]; NaN if no frame counts, or a value of one that counts is NaN.
    """
    counted = _counted(truth_xyxy)
    overlaps, given, usual = (values[counted] for values in (ious, scores, benign_scores))
    if _is_unknown(truth_xyxy, overlaps, given, usual):
        return math.nan
    return float(np.mean((overlaps < LOST) & (given > np.median(usual))))


def mean_attack_success_rate(scores: Values, found_xyxy: Values, truth_xyxy: Values) -> float:
    """FlyTrap's mean attack success rate (mASR): how far an attack shrinks the box while the tracker stays sure of it.

    The mean over thresholds t = .1, .2, … .9 of the share of frames with a score above t, a predicted box with less
    than t times the area of the true box, and the centre of the predicted box inside the true box.

    Source: the class `MeanAttackSuccessRate` of FlyTrap (NDSS 2026; ASGuard-UCI/FlyTrap at cacb8b2,
    flytrap/metrics/metrics.py, with the thresholds of config/_base_/metrics/masr.py). Differences: FlyTrap's "true" box
    is that of the umbrella that shows its patch, here it is the target's; FlyTrap counts the frames in which the
    umbrella is open, here all frames count; and the script behind FlyTrap's tables
    (analysis/analyze_result_metric.py) averages over all 81 pairs of thresholds, not over nine.

    Args:
        scores: The tracker's score of each frame, (F,), in [0, 1].
        found_xyxy: Predicted boxes (F, 4).
        truth_xyxy: True boxes (F, 4).

    Returns:
        A number in [0, 1]; NaN if no frame counts, a value of one that counts is NaN, or a score is above `MAX_SCORE`:
        the thresholds mean nothing on another scale.
    """
    counted = _counted(truth_xyxy)
    sure, found, truth = scores[counted], found_xyxy[counted], truth_xyxy[counted]
    if _is_unknown(truth_xyxy, sure, found) or sure.max() > MAX_SCORE:
        return math.nan
    centres = (found[:, :2] + found[:, 2:]) / 2
    is_inside = np.asarray(((centres >= truth[:, :2]) & (centres <= truth[:, 2:])).all(axis=1))
    areas, true_areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (found, truth))
    is_success = (sure[:, None] > THRESHOLDS) & (areas[:, None] < true_areas[:, None] * THRESHOLDS)
    return float((is_success & is_inside[:, None]).mean())


class LostAlarm:
    """Says of each score whether the target may be lost: below `LOST_BELOW` of the median of all scores before it.

    Scores around or below 0, such as logits, have no such share: there it stays silent.

    Attributes:
        frames: The numbers of the frames in which it did.
    """

    def __init__(self) -> None:
        self.frames: list[int] = []
        self._heard = 0
        self._sorted: list[float] = []

    def hear(self, score: float | None) -> bool:
        """Take the score of the next frame; None for a tracker that gives none, which is never said to be lost."""
        is_lost = score is not None and bool(self._sorted) and score < LOST_BELOW * self._median() > 0
        if is_lost:
            self.frames.append(self._heard)
        if score is not None:
            insort(self._sorted, score)
        self._heard += 1
        return is_lost

    def _median(self) -> float:
        middle = len(self._sorted) // 2
        return (self._sorted[middle] + self._sorted[-middle - 1]) / 2


def _counted(truth_xyxy: Values) -> NDArray[np.bool_]:
    counted = has_area(truth_xyxy)
    counted[:1] = False
    return counted


def _is_unknown(truth_xyxy: Values, *counted: Values) -> bool:
    """Whether no frame counts, or a value is missing among those that decide."""
    return not counted[0].size or any(np.isnan(values).any() for values in (truth_xyxy, *counted))
