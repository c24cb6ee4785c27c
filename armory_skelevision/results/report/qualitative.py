"""Single videos of one setting in detail: IoU over frames, filmstrips, patches and metrics, for several models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from armory_skelevision.io import progress
from armory_skelevision.results.metric_names import FRAME_IOU, FRAME_SCORES, Metric
from armory_skelevision.results.records import SIDES, RunResult, SideResult
from armory_skelevision.results.report.charts import frames_chart, scores_chart
from armory_skelevision.results.report.curves import Curve
from armory_skelevision.results.report.filmstrips import Frame, read_filmstrip, read_patch, read_video
from armory_skelevision.results.report.overview import SIDE_WORDS, metrics_of
from armory_skelevision.results.report.svg import LineStyle
from armory_skelevision.results.report.tables import MISSING, Row, Table, write_setting
from armory_skelevision.results.samples import find_samples
from armory_skelevision.results.summary import Group, Summary, tabulate
from armory_skelevision.validation import InvalidValueError, StructuredError

MAX_VIDEOS, MAX_FILMSTRIPS, MAX_MODELS = 40, 6, 4
"""Videos shown in detail, those of them with frames, patches and videos, and models shown of each."""

MAX_EMBEDDED = 256 * 2**20
"""Bytes of all embedded videos together."""

Content = TypeVar("Content")


class Filmstrip(NamedTuple):
    """One model in one video."""

    model: str
    frames: Sequence[Frame]
    """Of the video as it was tracked in; empty where none were exported."""
    patch: str | None
    """As a data URI; None where it was not exported."""
    videos: Mapping[str, str]
    """Data URIs by side, if requested and exported."""


class VideoDetails(NamedTuple):
    """One video as the models tracked it."""

    title: str
    ious: Mapping[str, Mapping[str, float]]
    """Mean IoU by model and side, in [0, 1], where recorded."""
    chart: str
    """IoU over frames."""
    scores: str
    """The trackers' scores over frames, as a chart; "" where none were recorded."""
    metrics: Table
    """Every metric of this video, a row for each model and side."""
    filmstrips: Sequence[Filmstrip]
    """One for each model; empty beyond the first `MAX_FILMSTRIPS` videos."""


class Qualitative(NamedTuple):
    """The videos of one setting in detail."""

    title: str
    videos: Sequence[VideoDetails]
    note: str
    """What is not shown, and why."""
    problems: Sequence[StructuredError] = ()
    """One for each exported file that cannot be shown."""


class _Exports:
    """Reads what runs exported, and keeps the problems."""

    def __init__(self) -> None:
        self.problems: list[StructuredError] = []
        self.room = MAX_EMBEDDED

    def read(self, reader: Callable[..., Content], *place: Any) -> Content | None:
        """What there is; None where it cannot be shown."""
        try:
            return reader(*place)
        except StructuredError as error:
            self.problems.append(error)
            return None

    def read_video(self, run: RunResult, number: int, side: str) -> str | None:
        """A video, as long as there is room for it on the page."""
        uri = self.read(read_video, run, number, side)
        self.room -= len(uri or "")
        if uri is not None and self.room < 0:
            key = f"{run.name}: {run.video_name(number)}, {side}"
            self.problems.append(InvalidValueError(key, f"videos of at most {MAX_EMBEDDED} bytes together", "more"))
            return None
        return uri


def qualitative(summary: Summary, styles: Mapping[str, LineStyle], embed_videos: bool) -> Qualitative:
    """Details of the videos of the setting with most to show: most models, then exported frames."""
    side = summary.sides[-1]
    choices = [(setting, _runs_with_frames(groups, side)) for setting, groups in summary.groups.items()]
    setting, runs = max(choices, key=lambda choice: _richness(choice[1]), default=((), {}))
    if not runs:
        note = (
            "No run recorded the IoU of single frames: add armory_skelevision.metrics.frame_iou to the config's "
            'metric "task", and set "record_metric_per_sample".'
        )
        return Qualitative("", (), note)
    count = min(len(run.side(side).frame_ious) for run in runs.values())
    numbers = progress(range(min(count, MAX_VIDEOS)), "videos")
    exports = _Exports()
    videos = [_details(summary, runs, styles, number, embed_videos, exports) for number in numbers]
    left_out = [f"The first {len(videos)} of {count} videos."] if count > len(videos) else []
    left_out += _missing([strip for video in videos for strip in video.filmstrips], side, embed_videos)
    return Qualitative(write_setting(setting), videos, " ".join(left_out), exports.problems)


def _runs_with_frames(groups: Mapping[str, Group], side: str) -> dict[str, RunResult]:
    """By model, the first run that recorded its frames."""
    runs: dict[str, RunResult] = {}
    for model, group in groups.items():
        recorded = next((run for run in group.finished if run.side(side).frame_ious), None)
        if recorded and len(runs) < MAX_MODELS:
            runs[model] = recorded
    return runs


def _richness(runs: Mapping[str, RunResult]) -> tuple[int, int]:
    return len(runs), sum(find_samples(run) is not None for run in runs.values())


def _details(
    summary: Summary,
    runs: Mapping[str, RunResult],
    styles: Mapping[str, LineStyle],
    number: int,
    embed_videos: bool,
    exports: _Exports,
) -> VideoDetails:
    curves = _curves(summary, runs, number, FRAME_IOU)
    scores = {model: sides for model, sides in _curves(summary, runs, number, FRAME_SCORES).items() if sides}
    filmstrips = []
    for model, run in runs.items() if number < MAX_FILMSTRIPS else ():
        videos = {side: exports.read_video(run, number, side) for side in SIDES if embed_videos}
        frames = read_filmstrip(run, number, summary.sides[-1], exports.problems)
        patch = exports.read(read_patch, run, number)
        filmstrips.append(Filmstrip(model, frames, patch, {side: uri for side, uri in videos.items() if uri}))
    shown = next(([frame.number for frame in strip.frames] for strip in filmstrips if strip.frames), [])
    return VideoDetails(
        title=next(iter(runs.values())).video_name(number),
        ious={
            model: {side: sum(curve.values[1:]) / max(1, len(curve.values) - 1) for side, curve in sides.items()}
            for model, sides in curves.items()
        },
        chart=frames_chart(curves, styles, shown),
        scores=scores_chart(scores, styles, shown) if scores else "",
        metrics=_metrics_table(summary, runs, number),
        filmstrips=filmstrips,
    )


def _curves(summary: Summary, runs: Mapping[str, RunResult], number: int, metric: str) -> dict[str, dict[str, Curve]]:
    """A value of each frame of a video, by model and side."""
    return {
        model: {
            side: Curve(np.arange(float(len(values))), np.asarray(values))
            for side in summary.sides
            for values in run.side(side).frames()[metric][number : number + 1]
        }
        for model, run in runs.items()
    }


def _metrics_table(summary: Summary, runs: Mapping[str, RunResult], number: int) -> Table:
    """All metrics of one video, a row for each model and side."""
    table = tabulate(runs)
    table = table[table["video"] == number].pivot(index=["run", "side"], columns="metric", values="value")
    metrics = [metric for metric in metrics_of(summary) if metric.key in table]
    rows: list[Row] = []
    for model, side in itertools.product(runs, summary.sides):
        values = [table[metric.key].get((model, side), math.nan) * metric.scale for metric in metrics]
        texts = {
            metric.title: _write_value(value, metric, runs[model].side(side))
            for metric, value in zip(metrics, values, strict=True)
        }
        rows.append({"model": model, "side": SIDE_WORDS[side], **texts})
    return Table(f"video-{number}-metrics", "Metrics", rows, numeric=[metric.title for metric in metrics])


def _write_value(value: float, metric: Metric, side: SideResult) -> str:
    if math.isnan(value):
        return MISSING if metric.key in side.missing else "–"
    return f"{value:.{metric.digits}f}"


def _missing(strips: Sequence[Filmstrip], side: str, embed_videos: bool) -> Iterator[str]:
    """What is not shown, and how it would be."""
    if not all(strip.frames for strip in strips):
        yield 'Frames are shown where the run exported them ("export_batches" under "scenario").'
    if any(frame.predicted_xyxy is None for strip in strips for frame in strip.frames):
        yield 'Boxes are shown where the metric "task" names frame_boxes and true_boxes.'
    if any(frame.score is None for strip in strips for frame in strip.frames):
        yield 'Scores are shown of trackers that give them, where the metric "task" names frame_scores.'
    if side != "benign" and not all(strip.patch for strip in strips):
        yield 'Patches are shown where the run exported them ("export" under the attack\'s "kwargs").'
    if embed_videos and not all(strip.videos for strip in strips):
        yield "Videos are embedded where the run exported them, likewise."
