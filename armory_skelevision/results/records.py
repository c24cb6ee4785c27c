"""`RunResult`, the one record of an evaluation, under reports, comparisons and summaries alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from armory_skelevision.evaluation.table import IN_REACH, METRIC
from armory_skelevision.results.metric_names import FRAME_BOXES, FRAME_IOU, FRAME_SCORES, IOU_IN_REACH, TRUE_BOXES
from armory_skelevision.validation import InvalidValueError

SIDES = ("benign", "adversarial")

State = Literal["finished", "failed", "missing"]
Box = tuple[float, float, float, float]

Setting = tuple[tuple[str, str], ...]
"""Pairs of a short name and a value, such as ("δ", "0.1")."""


class Label(NamedTuple):
    """What distinguishes a run from the others of a report."""

    model: str
    """Such as "MTL", with what distinguishes it from other models of its name."""
    setting: Setting
    """Data set, attack, defense, bound, step size and steps, and whatever else differs between the runs."""
    unattacked: Setting
    """The part of the setting that matters without the attack."""
    seed: Setting
    """Its seeds, by key; runs that differ in nothing else are repetitions."""


@dataclass(frozen=True)
class SideResult:
    """What was measured on one side of a run: benign, or under attack; empty where not recorded."""

    means: Mapping[str, float] = field(default_factory=dict)
    """By metric, its mean over the videos; IoU in [0, 1]. A metric that lacks the value of a video has none."""
    videos: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """By metric, its value for each video; None for one that is missing (null or NaN in the file)."""
    missing: frozenset[str] = frozenset()
    """Metrics that were measured, but have no mean, since it or the value of a video is missing."""
    frame_ious: tuple[tuple[float, ...], ...] = ()
    """For each video, the IoU of each frame, in [0, 1]; NaN for one that is missing."""
    scores: tuple[tuple[float, ...], ...] = ()
    """For each video, the tracker's score of each frame, on its own scale; NaN for one that is missing."""
    boxes_xyxy: tuple[tuple[Box, ...], ...] = ()
    """For each video, the predicted box of each frame, in pixels; NaN for one that is missing."""
    true_boxes_xyxy: tuple[tuple[Box, ...], ...] = ()

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU over the videos, in [0, 1]; None where this side was skipped."""
        return self.means.get(METRIC)

    @property
    def video_ious(self) -> tuple[float | None, ...]:
        """Mean IoU of each video, in [0, 1], None for a missing one; empty where only their mean was recorded."""
        return self.videos.get(METRIC, ())

    def complete_ious(self) -> list[float]:
        """Mean IoU of each video, in [0, 1] (`InvalidValueError` if one is missing)."""
        found = [iou for iou in self.video_ious if iou is not None]
        if len(found) != len(self.video_ious):
            raise InvalidValueError(METRIC, "a value for each video", f"{len(self.video_ious) - len(found)} missing")
        return found

    def frames(self) -> dict[str, tuple[tuple[Any, ...], ...]]:
        """What was recorded of single frames: by metric, for each video, a value or a box of each frame."""
        return {
            FRAME_IOU: self.frame_ious,
            FRAME_SCORES: self.scores,
            FRAME_BOXES: self.boxes_xyxy,
            TRUE_BOXES: self.true_boxes_xyxy,
        }


@dataclass(frozen=True)
class RunResult:
    """One evaluation: finished, failed, or planned and without a result.

    Attributes:
        name: Of its folder, or of its result file.
        folder: Where its files are.
        state: "finished" if its result was read.
        path: Its result file, if it has one.
        root: The folder that was to be read, out of which no file is taken; None for the run's own folder.
        config: ARMORY's config of the run; empty if unknown.
        benign: What was measured without the attack.
        adversarial: What was measured under it.
        checkpoints: By number of steps, the mean IoU of each video had the attack ended there; None if missing.
        reach: For each video, the share of frames in which a perfect patch could win, in [0, 1]; None where missing,
            empty where not recorded.
        names: Of the videos, in their order; empty where not recorded.
        sizes: Width and height of each video's frames, in pixels; empty where not recorded.
        timestamp: Start of the run, seconds since 1970; 0 if unknown.
        seconds: Wall-clock time of the whole run, if known.
        versions: Of packages, by name.
        weights: SHA-256 of its weights files by name, if recorded; ARMORY alone does not.
        labels: Its position on each axis of a sweep, by the axis's name.
        published: Numbers of papers for a sweep's run with these labels, in per cent: the "benign" mean IoU, and
            "adversarial" ones by steps.
        command: Runs it again, if a sweep recorded it.
        hash: Of its config and versions, likewise.
        log_end: Last lines of the log of a run that did not finish.
        steps: Set on a checkpoint of a longer attack: the number of steps; see `with_checkpoints`.
        label: Set by `summarize`; None without a config.
        is_repeated: Set by `summarize`: whether a newer run of the same config takes its place.
    """

    name: str
    folder: Path
    state: State = "finished"
    path: Path | None = None
    root: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    benign: SideResult = field(default_factory=SideResult)
    adversarial: SideResult = field(default_factory=SideResult)
    checkpoints: Mapping[int, tuple[float | None, ...]] = field(default_factory=dict)
    reach: tuple[float | None, ...] = ()
    names: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    timestamp: float = 0.0
    seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    published: Sequence[Mapping[str, Any]] = ()
    command: str = ""
    hash: str = ""
    log_end: str = ""
    steps: int | None = None
    label: Label | None = None
    is_repeated: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether it has a result."""
        return self.state == "finished"

    @property
    def is_measured(self) -> bool:
        """Whether there were true boxes to measure with: a test set, or anybody's video, has none."""
        return any(METRIC in side.means or METRIC in side.missing for side in (self.benign, self.adversarial))

    def side(self, name: str) -> SideResult:
        """What was measured on the side "benign" or "adversarial"."""
        return self.benign if name == "benign" else self.adversarial

    def setting(self, section: str, *path: str) -> Any:
        """A value of the config, such as ``setting("attack", "kwargs", "max_iter")``; None if it is not there."""
        value: Any = self.config.get(section)
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def video_name(self, number: int) -> str:
        """The name of a video that the result gives it, or else "video 0" and so on."""
        return self.names[number] if number < len(self.names) else f"video {number}"

    def videos_in_reach(self) -> tuple[int, ...]:
        """The numbers of the videos that a patch could win in; see `IN_REACH`."""
        return tuple(number for number, share in enumerate(self.reach) if _is_in_reach(share))

    def count_in_reach(self) -> str:
        """How many videos are in reach, such as "2 of 3 videos"; those of unknown reach are not counted."""
        known = sum(share is not None for share in self.reach)
        return f"{len(self.videos_in_reach())} of {known} videos"

    def __str__(self) -> str:
        """Both mean IoUs on one line, and those of the videos in reach where that is recorded."""
        if self.is_finished and not self.is_measured:
            return f"{sum(map(len, self.benign.boxes_xyxy))} frames tracked, no true boxes"
        words = [f"{name} mIoU {_describe(self.side(name))}" for name in SIDES]
        if self.setting("dataset", "truth"):
            words.append("with the tracker's own boxes for true ones")
        if self.reach:
            words.append(f"{self.count_in_reach()} in reach")
        return "  ".join(words)


def with_checkpoints(run: RunResult) -> list[RunResult]:
    """A run, and one more for each number of steps at which its attack recorded (or was to record) the mean IoU.

    These equal runs with so many steps, so tables and curves treat them alike.
    """
    attack, kwargs = run.config.get("attack"), run.setting("attack", "kwargs")
    if not isinstance(attack, Mapping) or not isinstance(kwargs, Mapping):
        return [run]
    length = "budget" if "budget" in kwargs or attack.get("name") == "AutoPatch" else "max_iter"
    planned = kwargs.get("checkpoints")
    counts = run.checkpoints if run.is_finished else planned if isinstance(planned, list) else ()
    runs = [run]
    for steps in counts:
        if isinstance(steps, int) and steps != kwargs.get(length):
            ious = run.checkpoints.get(steps, ())
            attacked = with_mean_in_reach(summarize_videos({METRIC: ious}), run.reach) if ious else SideResult()
            checkpoint = replace(
                run,
                name=f"{run.name} after {steps} steps",
                config={**run.config, "attack": {**attack, "kwargs": {**kwargs, length: steps}}},
                benign=SideResult(run.benign.means, run.benign.videos, run.benign.missing),
                adversarial=attacked,
                checkpoints={},
                seconds=None,
                steps=steps,
            )
            runs.append(checkpoint)
    return runs


def summarize_videos(videos: Mapping[str, tuple[float | None, ...]]) -> SideResult:
    """What was measured on a side of which only the values of videos are known: a metric's mean needs all of them."""
    complete = {metric: [value for value in values if value is not None] for metric, values in videos.items()}
    missing = frozenset(metric for metric, values in videos.items() if None in values)
    means = {metric: math.fsum(values) / len(values) for metric, values in complete.items() if metric not in missing}
    return SideResult(means, videos, missing)


def with_mean_in_reach(side: SideResult, reach: Sequence[float | None]) -> SideResult:
    """A side with its mean IoU over the videos in reach: none if no video is, missing if one of them has no value."""
    ious = [iou for iou, share in zip(side.video_ious, reach, strict=False) if _is_in_reach(share)]
    complete = [iou for iou in ious if iou is not None]
    if len(complete) < len(ious):
        return replace(side, missing=side.missing | {IOU_IN_REACH})
    return replace(side, means={**side.means, IOU_IN_REACH: math.fsum(complete) / len(complete)}) if complete else side


def _is_in_reach(share: float | None) -> bool:
    return share is not None and share >= IN_REACH


def _describe(side: SideResult) -> str:
    if side.mean_iou is None:
        return "missing" if METRIC in side.missing else "skipped"
    in_reach = side.means.get(IOU_IN_REACH)
    return f"{side.mean_iou:.2f}" + (f" ({in_reach:.2f} in reach)" if in_reach is not None else "")
