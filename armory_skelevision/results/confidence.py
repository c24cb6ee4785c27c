"""Measures of the tracker's confidence, derived from what a result recorded of single frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from armory_skelevision.confidence import MAX_SCORE, lost_but_sure, mean_attack_success_rate
from armory_skelevision.results.metric_names import LOST_BUT_SURE, MASR
from armory_skelevision.results.records import SideResult, summarize_videos


def with_confidence(side: SideResult, benign: SideResult) -> SideResult:
    """A side with its `LOST_BUT_SURE` and `MASR`, as far as what they are computed from was recorded.

    Args:
        side: What was measured on a side.
        benign: What was measured on the benign side, whose scores the first of them compares with.
    """
    derived: dict[str, tuple[float | None, ...]] = {LOST_BUT_SURE: tuple(_lost_but_sure(side, benign))}
    if MASR not in side.videos and MASR not in side.means:
        derived[MASR] = tuple(_mean_attack_success_rates(side))
    found = summarize_videos({metric: values for metric, values in derived.items() if values})
    return replace(
        side,
        means={**side.means, **found.means},
        videos={**side.videos, **found.videos},
        missing=side.missing | found.missing,
    )


def _lost_but_sure(side: SideResult, benign: SideResult) -> Iterator[float | None]:
    videos = zip(side.frame_ious, side.scores, benign.scores, side.true_boxes_xyxy, strict=False)
    for video in videos:
        yield _none_if_nan(lost_but_sure(*(np.asarray(each, np.float64) for each in video)))


def _mean_attack_success_rates(side: SideResult) -> Iterator[float | None]:
    if any(score > MAX_SCORE for scores in side.scores for score in scores):
        return  # on a scale of the tracker's own it is not defined, so it is not missing
    for video in zip(side.scores, side.boxes_xyxy, side.true_boxes_xyxy, strict=False):
        yield _none_if_nan(mean_attack_success_rate(*(np.asarray(each, np.float64) for each in video)))


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
