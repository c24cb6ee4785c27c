"""Exports what a run tracked, as result files of trackers that other toolkits evaluate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NamedTuple

from armory_skelevision.io import printable, progress
from armory_skelevision.io.folders import new_folder, refuse_filled
from armory_skelevision.results.export.formats import FORMATS, FormatName, format_sequence
from armory_skelevision.results.export.sequences import as_file_name, check_unique, load_finished, sequence_names
from armory_skelevision.results.export.toolkits import describe_scores
from armory_skelevision.results.metric_names import FRAME_BOXES, TRUE_BOXES
from armory_skelevision.results.records import SIDES, Box, RunResult, SideResult
from armory_skelevision.results.values import MAX_PIXELS
from armory_skelevision.validation import InvalidValueError, Range, accepts

_Pixels = Annotated[float, Range(-MAX_PIXELS, MAX_PIXELS)]
_BoxXYWH = tuple[_Pixels, _Pixels, _Pixels, _Pixels]


class ExportedTracker(NamedTuple):
    """One side of a run, as a tracker of its own."""

    folder: Path
    """Its files."""
    sequences: int
    scores: str
    """What the toolkits are to compute from them, in words."""


class _Tracker(NamedTuple):
    """What is to be exported."""

    name: str
    run: RunResult
    side: SideResult


def export_trackers(
    path: Path, form: FormatName, out: Path, tracker: str | None = None, first_pixel: int | None = None
) -> list[ExportedTracker]:
    """Write the boxes of runs as result files of trackers, in folders ``out/TRACKER`` and ``out/TRACKER-attacked``.

    Args:
        path: A result file of `armory run` or of `EvaluationResult.save`, or a folder of them.
        form: The format; see `formats`.
        out: Folder of all trackers' results, made if absent. Other trackers in it stay as they are.
        tracker: Name of the tracker. By default that of the model's function, or, for several runs, of the run.
        first_pixel: The number of the first pixel, 0 or 1, if not that of the format: PySOT's annotation of OTB has 0.

    Raises:
        MissingFileError: If there is no such path.
        InvalidValueError: If a result cannot be read, has no boxes of some frame (true ones only where the video has
            any: of a test set they are withheld), or names that no file can have; if a
            tracker's folder is there already. Nothing is written then.
        OSError: If a file cannot be written; the folder that it belongs to is then left out.
    """
    runs = load_finished(path)
    if tracker is not None and len(runs) > 1:
        raise InvalidValueError(
            "tracker", "one run, if it is to be named", f"{len(runs)} runs", "export them one by one"
        )
    trackers = [each for run in runs for each in _sides(run, tracker or _default_name(run, len(runs)))]
    check_unique(printable(path), [each.name for each in trackers])
    for each in trackers:
        refuse_filled(out / each.name)
    origin = FORMATS[form].first_pixel if first_pixel is None else first_pixel
    texts = {each.name: _format_tracker(each, form, origin) for each in trackers}
    with ExitStack() as folders:  # all of them, or, if something is wrong, none
        for name, files in texts.items():
            folder = folders.enter_context(new_folder(out / name))
            for file, text in files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(text, encoding="utf-8")
    return [
        ExportedTracker(out / each.name, len(each.side.boxes_xyxy), _describe_scores(form, each)) for each in trackers
    ]


def _default_name(run: RunResult, count: int) -> str:
    made_by = run.setting("model", "model_kwargs", "factory") or run.setting("model", "name")
    name = str(made_by or run.name) if count == 1 else run.name
    return as_file_name(f"{run.name}: name", name)


def _sides(run: RunResult, name: str) -> Iterator[_Tracker]:
    """The sides of a run that have boxes, each under a name of its own."""
    recorded = [side for side in SIDES if run.side(side).boxes_xyxy]
    if not recorded or (run.is_measured and not all(run.side(side).true_boxes_xyxy for side in recorded)):
        fix = 'name them in the metric "task", and set "record_metric_per_sample"'
        raise InvalidValueError(run.name, f"{FRAME_BOXES} and {TRUE_BOXES} of every frame", "none", fix)
    plain = as_file_name("tracker", name)
    for side in recorded:
        yield _Tracker(plain if side == SIDES[0] else f"{plain}-attacked", run, run.side(side))


def _format_tracker(tracker: _Tracker, form: FormatName, first_pixel: int) -> dict[str, str]:
    """All files of a tracker: their text by their path below its folder."""
    name, run, side = tracker
    names = sequence_names(run, len(side.boxes_xyxy))
    files: dict[str, str] = {}
    for number, sequence in enumerate(progress(names, name)):
        found = side.boxes_xyxy[number]
        given = _given_box(run, side, number)
        _check_complete(f"{name}: {sequence}", (given, *found))
        scores = side.scores[number] if side.scores else ()
        files |= format_sequence(form, sequence, found, given, scores, first_pixel)
    return files


def _describe_scores(form: FormatName, tracker: _Tracker) -> str:
    is_annotated = tracker.side.true_boxes_xyxy and not tracker.run.setting("dataset", "truth")
    return describe_scores(form, tracker.side, tracker.run.sizes) if is_annotated else "no true boxes"


def _given_box(run: RunResult, side: SideResult, number: int) -> Box:
    """The box of a video's first frame that the tracker was given."""
    if side.true_boxes_xyxy:
        return side.true_boxes_xyxy[number][0]
    box_xywh = run.setting("dataset", "box_xywh")
    if len(side.boxes_xyxy) == 1 and accepts(_BoxXYWH, box_xywh):
        x, y, width, height = box_xywh
        return x, y, x + width, y + height
    return side.boxes_xyxy[number][0]


def _check_complete(key: str, boxes_xyxy: tuple[Box, ...]) -> None:
    missing = [frame for frame, box in enumerate(boxes_xyxy) if math.isnan(box[0])]
    if missing:
        got = f"none in frame {max(0, missing[0] - 1)}"
        raise InvalidValueError(key, "a box in every frame", got, "the result lacks it")
