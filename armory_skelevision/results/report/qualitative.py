"""Single videos of one setting in detail: IoU over frames, filmstrips, patches and metrics, for several models."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from armory_skelevision.results.labels import Setting
from armory_skelevision.results.records import SIDES, RunResult
from armory_skelevision.results.report.charts import frames_chart
from armory_skelevision.results.report.columns import Metric, metrics_of, write_setting
from armory_skelevision.results.report.figures import progress
from armory_skelevision.results.report.filmstrips import Frame, find_samples, read_filmstrip, read_patch, read_video
from armory_skelevision.results.report.overview import SIDE_WORDS
from armory_skelevision.results.report.svg import LineStyle
from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.summary import Summary, tabulate

MAX_VIDEOS, MAX_FILMSTRIPS, MAX_MODELS = 40, 6, 4
"""Videos shown in detail, those of them with frames, patches and videos, and models shown of each."""


@dataclass(frozen=True)
class Filmstrip:
    """One model in one video.

    Attributes:
        model: Its label.
        frames: Of the video as it was tracked in; empty where none were exported.
        patch: As a data URI; None where it was not exported.
        videos: Data URIs by side, if requested and exported.
    """

    model: str
    frames: Sequence[Frame]
    patch: str | None
    videos: Mapping[str, str]


@dataclass(frozen=True)
class VideoDetails:
    """One video as the models tracked it.

    Attributes:
        title: Its name.
        ious: Mean IoU by model and side, in [0, 1], where recorded.
        chart: IoU over frames.
        metrics: Every metric of this video, a row for each model and side.
        filmstrips: One for each model; empty beyond the first `MAX_FILMSTRIPS` videos.
    """

    title: str
    ious: Mapping[str, Mapping[str, float]]
    chart: str
    metrics: Table
    filmstrips: Sequence[Filmstrip]


@dataclass(frozen=True)
class Qualitative:
    """The videos of one setting in detail; ``note`` says what is not shown, and why."""

    title: str = ""
    videos: Sequence[VideoDetails] = ()
    note: str = ""

    @property
    def filmstrips(self) -> list[Filmstrip]:
        """All filmstrips of all videos."""
        return [filmstrip for video in self.videos for filmstrip in video.filmstrips]


def qualitative(summary: Summary, styles: Mapping[str, LineStyle], embed_videos: bool) -> Qualitative:
    """Details of the videos of the setting with most to show: most models, then exported frames.

    Args:
        summary: All runs.
        styles: Of the models' lines.
        embed_videos: Whether to embed exported videos.
    """
    side = summary.sides[-1]
    choices = [(setting, _runs_with_frames(summary, setting, side)) for setting in summary.settings]
    setting, runs = max(choices, key=lambda choice: _richness(choice[1]), default=((), {}))
    if not runs:
        return Qualitative(
            note="No run recorded the IoU of single frames: add armory_skelevision.metrics.frame_iou to the config's "
            'metric "task", and set "record_metric_per_sample".'
        )
    count = min(len(run.side(side).frame_ious) for run in runs.values())
    videos = [
        _details(summary, runs, styles, number, side, embed_videos)
        for number in progress(range(min(count, MAX_VIDEOS)), "videos")
    ]
    found = Qualitative(write_setting(setting), videos)
    return Qualitative(found.title, videos, _note(found, side, embed_videos, count))


def _runs_with_frames(summary: Summary, setting: Setting, side: str) -> dict[str, RunResult]:
    """By model, the first run under a setting that recorded its frames."""
    runs: dict[str, RunResult] = {}
    for model in summary.models:
        group = summary.groups.get((setting, model))
        for run in group.finished if group else ():
            if run.side(side).frame_ious and len(runs) < MAX_MODELS:
                runs.setdefault(model, run)
    return runs


def _richness(runs: Mapping[str, RunResult]) -> tuple[int, int]:
    return len(runs), sum(find_samples(run) is not None for run in runs.values())


def _details(
    summary: Summary, runs: Mapping[str, RunResult], styles: Mapping[str, LineStyle], number: int, side: str,
    embed_videos: bool,
) -> VideoDetails:  # fmt: skip
    frame_ious = {
        model: {
            each: run.side(each).frame_ious[number] for each in summary.sides if number < len(run.side(each).frame_ious)
        }
        for model, run in runs.items()
    }
    filmstrips = [_filmstrip(model, run, number, side, embed_videos) for model, run in runs.items()]
    filmstrips = filmstrips if number < MAX_FILMSTRIPS else []
    shown = next(([frame.number for frame in strip.frames] for strip in filmstrips if strip.frames), [])
    return VideoDetails(
        title=next(iter(runs.values())).video_name(number),
        ious={
            model: {each: sum(ious[1:]) / max(1, len(ious) - 1) for each, ious in sides.items()}
            for model, sides in frame_ious.items()
        },
        chart=frames_chart(frame_ious, styles, shown),
        metrics=_metrics(summary, runs, number),
        filmstrips=filmstrips,
    )


def _metrics(summary: Summary, runs: Mapping[str, RunResult], number: int) -> Table:
    """All metrics of one video, a row for each model and side."""
    values = tabulate(list(runs.values()))
    found = values[values["video"] == number].set_index(["run", "side", "metric"])["value"].to_dict()
    metrics = [metric for metric in metrics_of(summary) if any(key == metric.key for _, _, key in found)]
    rows = []
    for (place, model), side in itertools.product(enumerate(runs), summary.sides):
        shown = [_plain(found.get((place, side, metric.key)), metric) for metric in metrics]
        rows.append((TableCell(model), TableCell(SIDE_WORDS[side]), *shown))
    titles = tuple(metric.title for metric in metrics)
    return Table(
        f"video-{number}-metrics", "Metrics", ("model", "side", *titles), tuple(rows), numeric=frozenset(titles)
    )


def _plain(value: float | None, metric: Metric) -> TableCell:
    return TableCell("–" if value is None else f"{value * metric.scale:.{metric.digits}f}")


def _filmstrip(model: str, run: RunResult, number: int, side: str, embed_videos: bool) -> Filmstrip:
    embedded = {each: read_video(run, number, each) for each in SIDES} if embed_videos else {}
    return Filmstrip(
        model=model,
        frames=read_filmstrip(run, number, side),
        patch=read_patch(run, number),
        videos={each: uri for each, uri in embedded.items() if uri},
    )


def _note(found: Qualitative, side: str, embed_videos: bool, count: int) -> str:
    words = []
    if count > len(found.videos):
        words.append(f"The first {len(found.videos)} of {count} videos.")
    if not all(strip.frames for strip in found.filmstrips):
        words.append('Frames are shown where the run exported them ("export_batches" under "scenario").')
    if any(frame.predicted_xyxy is None for strip in found.filmstrips for frame in strip.frames):
        words.append('Boxes are shown where the metric "task" names frame_boxes and true_boxes.')
    if side != "benign" and not all(strip.patch for strip in found.filmstrips):
        words.append('Patches are shown where the run exported them ("export" under the attack\'s "kwargs").')
    if embed_videos and not all(strip.videos for strip in found.filmstrips):
        words.append("Videos are embedded where the run exported them, likewise.")
    return " ".join(words)
