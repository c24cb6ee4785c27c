"""Exports attacked videos as a data set, so that any toolkit can judge any tracker on them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision import __version__
from armory_skelevision.io import printable, progress, read_bytes
from armory_skelevision.io.folders import new_folder
from armory_skelevision.io.images import decode_image, encode_jpeg, encode_png
from armory_skelevision.results.export.layouts import (
    LAYOUTS,
    Annotated,
    Layout,
    LayoutName,
    format_annotation,
    format_index,
)
from armory_skelevision.results.export.sequences import load_finished, sequence_names
from armory_skelevision.results.metric_names import TRUE_BOXES
from armory_skelevision.results.records import SIDES, RunResult
from armory_skelevision.results.samples import ATTACKED, list_frames, root_of
from armory_skelevision.validation import InvalidValueError, MissingFileError

MAX_PICTURE = 256 * 2**20
"""What a frame may have, in bytes."""

SOURCE = "source.json"
"""Says which run the frames are of."""


class ExportedVideos(NamedTuple):
    """The outcome of `export_attacked`."""

    folder: Path
    sequences: int
    frames: int
    largest_change: int
    """Of a colour of a pixel by JPEG, of 255; 0 without it."""
    truth: str = ""
    """Where the true boxes are from, if not from an annotation."""


class _Video(NamedTuple):
    """One video of a run, with its exported frames."""

    name: str
    boxes_xyxy: Sequence[Any]
    frames: Sequence[Path]


def export_attacked(
    path: Path, layout: LayoutName, out: Path, side: str = "adversarial", jpeg: int | None = None
) -> ExportedVideos:
    """Write the frames that a run exported, and the true boxes, as a data set in a published layout.

    Toolkits look for images called .jpg, and go by their content: without ``jpeg`` the files hold the frames as the run
    exported them, in 8 bits per colour, without loss (PNG).

    Args:
        path: The result file of one run of `armory run` whose config sets ``"export_batches": true`` under "scenario",
            or its folder; or that of `skelevision track --attack`.
        layout: The layout; see `layouts`.
        out: Folder of the data set, new or empty. It is there as a whole or not at all.
        side: "adversarial", or "benign" for the videos as they are.
        jpeg: Quality of true JPEG files, 1 to 100, which changes pixels; None for none.

    Raises:
        MissingFileError: If there is no such path, or frames of a video were not exported.
        InvalidValueError: If the folder is not empty, the path has several runs, true boxes are missing, or an exported
            frame is no picture, of another size, or a link out of the folder that was given.
        OSError: If a file cannot be written.
    """
    runs = load_finished(path)
    if len(runs) > 1:
        raise InvalidValueError(printable(path), "one run", f"{len(runs)} runs", "name the result file of one of them")
    (run,) = runs
    videos, place = _find_videos(run, side), LAYOUTS[layout]
    total, sequences, changes = sum(len(video.frames) for video in videos), [], [0]
    with new_folder(out) as folder, progress(total=total, desc="frames") as bar:
        root = folder / place.folder
        for video in videos:
            size, change = _write_frames(run, video, root / video.name, place, jpeg, bar)
            sequences.append(Annotated(video.name, video.boxes_xyxy, size))
            changes.append(change)
            _write(root / video.name, format_annotation(layout, sequences[-1]))
        _write(root, format_index(layout, sequences))
        about = {"config": run.config, "jpeg": jpeg, "side": side, "skelevision": __version__}
        _write(folder, {SOURCE: json.dumps(about, indent=4, sort_keys=True) + "\n"})
    return ExportedVideos(out, len(videos), total, max(changes), str(run.setting("dataset", "truth") or ""))


def _find_videos(run: RunResult, side: str) -> list[_Video]:
    """The videos of a run, all of whose frames must have been exported."""
    truths = run.side(side).true_boxes_xyxy
    if not truths:
        fix = 'name it in the metric "task", and set "record_metric_per_sample"'
        if any(run.side(other).true_boxes_xyxy for other in SIDES):
            fix = "only the other side was run; `--benign` is for the videos as they are"
        raise InvalidValueError(run.name, f"{TRUE_BOXES} of every frame of the {side} side", "none", fix)
    videos = []
    for number, (name, truth) in enumerate(zip(sequence_names(run, len(truths)), truths, strict=True)):
        key, frames = f"{run.name}: {name}", list_frames(run, number, side)
        if list(frames) != list(range(len(truth))):
            fix = 'set "export_batches": true under "scenario" in the config, and run it again; or `track --attack` it'
            if (run.folder / ATTACKED).is_dir():
                fix = f"the attacked frames are in {ATTACKED}/, the benign ones are those of the video itself"
            raise MissingFileError(key, f"{len(truth)} exported frames", str(len(frames)), fix)
        if any(math.isnan(corner) for box in truth for corner in box):
            raise InvalidValueError(key, "a true box in every frame", "NaN or null")
        videos.append(_Video(name, truth, list(frames.values())))
    return videos


def _write_frames(
    run: RunResult, video: _Video, target: Path, place: Layout, jpeg: int | None, bar: Any
) -> tuple[tuple[int, int], int]:
    """Write the images of a sequence; returns width and height, and the largest change of a colour."""
    (target / place.images).mkdir(parents=True)
    size, change = None, 0
    for number, path in enumerate(video.frames, start=1):
        pixels = decode_image(read_bytes(path, MAX_PICTURE, root_of(run)), printable(path), size)
        size = pixels.shape[1], pixels.shape[0]
        data = encode_png(pixels) if jpeg is None else encode_jpeg(pixels, jpeg)
        if jpeg is not None:
            changed = decode_image(data, printable(path)).astype(np.int16)
            change = max(change, int(abs(changed - pixels).max()))
        (target / place.image(number, len(video.frames))).write_bytes(data)
        bar.update()
    return size or (0, 0), change


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
