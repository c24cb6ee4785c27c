"""The report's figures: mIoU over steps for each δ, and what two models do in the same videos, frame by frame."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.cells import Cell
from armory_skelevision.results.groups import Board
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import Setting
from armory_skelevision.results.records import SIDES
from armory_skelevision.results.report.charts import Look, frames_chart, steps_chart
from armory_skelevision.results.report.columns import scaled, write_setting
from armory_skelevision.results.report.films import Frame, outputs_of, read_film, read_patch, read_video

MAX_VIDEOS = 6
"""So many videos are shown frame by frame."""


@dataclass(frozen=True)
class Panel:
    """A chart with its headline."""

    title: str
    svg: str


@dataclass(frozen=True)
class Strip:
    """One model in one video.

    Attributes:
        model: Its label.
        frames: Of the video as it was tracked in; empty where none were exported.
        patch: As a data URI; None where none was kept.
        videos: Data URIs by side, if asked for and exported.
        mean_iou: In [0, 1].
    """

    model: str
    frames: Sequence[Frame]
    patch: str | None
    videos: Mapping[str, str]
    mean_iou: float


@dataclass(frozen=True)
class Scene:
    """One video, as one or two models tracked it: under attack, if anything was attacked.

    Attributes:
        title: Headline.
        svg: IoU over frames.
        strips: One for each model.
    """

    title: str
    svg: str
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Close:
    """The videos of one setting from near; ``missing`` says in a line what is not there to show, and why."""

    title: str = ""
    scenes: Sequence[Scene] = ()
    missing: str = ""


def steps_panels(board: Board, looks: Mapping[str, Look]) -> list[Panel]:
    """A chart for each setting (δ, data set, …) that was attacked with several numbers of steps."""
    curves: dict[Setting, dict[str, dict[int, Estimate]]] = {}
    for setting, model in itertools.product(board.settings, board.models):
        group = board.groups.get((setting, model))
        if group is None:
            continue
        value, steps = group.measure("adversarial", METRIC), dict(setting).get("steps", "")
        if value and steps.isdigit():
            rest = tuple(pair for pair in setting if pair[0] != "steps")
            points = curves.setdefault(rest, {}).setdefault(model, {})
            points[int(steps)] = scaled(value, 100) or value
            benign = group.measure("benign", METRIC)
            if benign:
                points.setdefault(0, scaled(benign, 100) or benign)
    several = {
        rest: {name: found[name] for name in board.models if name in found}
        for rest, found in curves.items()
        if len({steps for points in found.values() for steps in points} - {0}) > 1
    }
    bar = tqdm(several.items(), desc="charts", disable=None, leave=False)
    return [Panel(write_setting(rest), steps_chart(found, looks)) for rest, found in bar]


def close_up(board: Board, looks: Mapping[str, Look], videos: bool) -> Close:
    """Up to `MAX_VIDEOS` videos of the first setting in which two models (else one) have their IoU frame by frame.

    Args:
        board: All groups.
        looks: Of the models' lines.
        videos: Whether to embed exported videos.
    """
    side = board.sides[-1]
    setting, pair = _pick(board, side)
    if not pair:
        return Close(missing="No run kept the IoU of single frames: add armory_skelevision.metrics.frame_iou to the "
                             'config\'s metric "task".')  # fmt: skip
    count = min(len(cell.run.side(side).frame_ious) for cell in pair.values() if cell.run)
    bar = tqdm(range(min(count, MAX_VIDEOS)), desc="videos", disable=None, leave=False)
    scenes = [_scene(pair, looks, number, side, videos) for number in bar]
    return Close(write_setting(setting), scenes, _what_is_missing(scenes, side != "benign", videos, count))


def _pick(board: Board, side: str) -> tuple[Setting, dict[str, Cell]]:
    """The first setting with the most to show: two models before one, with exported frames before without."""
    choices = []
    for setting in board.settings:
        found: dict[str, Cell] = {}
        for model in board.models:
            group = board.groups.get((setting, model))
            for cell in group.finished if group else ():
                if cell.run and cell.run.side(side).frame_ious and len(found) < 2:
                    found.setdefault(model, cell)
        choices.append((setting, found))
    return max(choices, key=lambda choice: _richness(choice[1].values()), default=((), {}))


def _richness(cells: Collection[Cell]) -> tuple[int, int]:
    return len(cells), sum(outputs_of(cell) is not None for cell in cells)


def _scene(pair: Mapping[str, Cell], looks: Mapping[str, Look], number: int, side: str, videos: bool) -> Scene:
    runs = {model: cell.run for model, cell in pair.items() if cell.run}
    ious = {model: run.side(side).frame_ious[number] for model, run in runs.items()}
    kept = {model: run.benign.frame_ious for model, run in runs.items()} if side != "benign" else {}
    benign = {model: videos[number] for model, videos in kept.items() if number < len(videos)}
    strips = [_strip(model, cell, number, side, ious[model], videos) for model, cell in pair.items()]
    shown = next(([frame.number for frame in strip.frames] for strip in strips if strip.frames), [])
    return Scene(f"Video {number}", frames_chart(ious, benign, looks, shown), strips)


def _strip(model: str, cell: Cell, number: int, side: str, ious: Sequence[float], videos: bool) -> Strip:
    samples = outputs_of(cell)
    embedded = {side: read_video(samples, number, side) for side in SIDES} if videos and samples else {}
    return Strip(
        model=model,
        frames=read_film(samples, number, side) if samples else [],
        patch=read_patch(cell, number),
        videos={side: uri for side, uri in embedded.items() if uri},
        mean_iou=sum(ious[1:]) / max(1, len(ious) - 1),
    )


def _what_is_missing(scenes: Sequence[Scene], attacked: bool, videos: bool, count: int) -> str:
    strips = [strip for scene in scenes for strip in scene.strips]
    words = []
    if count > len(scenes):
        words.append(f"The first {len(scenes)} of {count} videos.")
    if not all(strip.frames for strip in strips):
        words.append('Frames only where the run exported them ("export_batches" under "scenario").')
    if attacked and not all(strip.patch for strip in strips):
        words.append('Patches only where the run kept them ("export" under the attack\'s "kwargs").')
    if videos and not all(strip.videos for strip in strips):
        words.append("Videos only where the run exported them, likewise.")
    return " ".join(words)
