"""Success and precision plots of the OTB benchmark (Wu, Lim, Yang, PAMI 2015), from recorded frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY, has_area
from armory_skelevision.results.records import RunResult, SideResult

OVERLAPS = np.arange(0, 1.05, 0.05)
"""Thresholds of a success plot, as in the metric `success_auc`."""

PIXELS = np.arange(51.0)
"""Thresholds of a precision plot, in pixels."""

PRECISION_AT = 20
"""The threshold whose precision represents a tracker."""

Values = NDArray[np.float64]


class Curve(NamedTuple):
    """A curve of shares in [0, 1]."""

    x: Values
    """Thresholds, or numbers of frames."""
    values: Values
    score: float | None = None
    """The number that represents it."""


def success_curve(runs: Sequence[RunResult], side: str) -> Curve | None:
    """Share of frames whose IoU is above each threshold, mean over videos, then runs; its score is the AUC.

    As in the benchmark, every frame counts that is not marked as left out, and the first one is right, as its box is
    given. None without `frame_iou`, and where the value of a frame is missing.
    """
    ious = [[[1.0, *video[1:]] for video in _counted_ious(run.side(side))] for run in runs]
    values = _mean_shares(ious, np.greater, OVERLAPS)
    return None if values is None else Curve(OVERLAPS, values, float(values.mean()))


def precision_curve(runs: Sequence[RunResult], side: str) -> Curve | None:
    """Share of frames whose centre error is at most each threshold, mean over videos, then runs.

    Its score is the precision at 20 px. None without `frame_boxes` and `true_boxes`, and where a box is missing.
    """
    errors = [[[0.0, *video[1:]] for video in _centre_errors(run.side(side))] for run in runs]
    values = _mean_shares(errors, np.less_equal, PIXELS)
    return None if values is None else Curve(PIXELS, values, float(values[PRECISION_AT]))


def _counted_ious(side: SideResult) -> list[Sequence[float]]:
    """The IoUs of each video's frames, without those whose true box marks them as left out."""
    counted: list[Sequence[float]] = list(side.frame_ious)
    for number, (ious, truth) in enumerate(zip(side.frame_ious, side.true_boxes_xyxy, strict=False)):
        if len(ious) == len(truth):
            counted[number] = np.asarray(ious)[(np.asarray(truth) != LEFT_OUT_XYXY).any(axis=1)].tolist()
    return counted


def _centre_errors(side: SideResult) -> list[Values]:
    """Distances of predicted from true centres in pixels, for each video those of the frames that are not left out.

    Infinite where the target is marked as lost, else -1 where nothing is to be found.
    """
    errors = []
    for truth, found in zip(side.true_boxes_xyxy, side.boxes_xyxy, strict=False):
        if len(truth) == len(found):
            true_xyxy, found_xyxy = np.asarray(truth, np.float64), np.asarray(found, np.float64)
            offsets = (found_xyxy[:, :2] + found_xyxy[:, 2:] - true_xyxy[:, :2] - true_xyxy[:, 2:]) / 2
            is_missing = np.isnan(true_xyxy + found_xyxy).any(axis=1)
            without = np.where((true_xyxy == LOST_XYXY).all(axis=1), np.inf, -1.0)
            distances = np.where(has_area(true_xyxy) | is_missing, np.hypot(*offsets.T), without)
            errors.append(distances[(true_xyxy != LEFT_OUT_XYXY).any(axis=1)])
    return errors


def _mean_shares(runs: Sequence[Sequence[Sequence[float]]], compare: np.ufunc, thresholds: Values) -> Values | None:
    """Share of frames that compare with each threshold, mean over videos, then over runs that recorded any.

    None where no run did, or a frame has no value.
    """
    if any(np.isnan(video).any() for videos in runs for video in videos):
        return None
    means = [
        np.mean([compare(np.asarray(video)[:, None], thresholds).mean(axis=0) for video in videos], axis=0)
        for videos in runs
        if videos
    ]
    return np.asarray(np.mean(means, axis=0)) if means else None
