"""The videos of a run as other toolkits know them: by name, with boxes x, y, width, height in a benchmark's pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.boxes import has_area
from armory_skelevision.io import printable
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.records import RunResult
from armory_skelevision.validation import InvalidValueError

MAX_NAME = 200
"""Bytes of a name, to which suffixes are added."""

Boxes = NDArray[np.float64]


def load_finished(path: Path) -> list[RunResult]:
    """The finished runs of a result file or a folder of them.

    Raises:
        MissingFileError: If there is no such path.
        InvalidValueError: If a file cannot be read, or no run is finished.
    """
    loaded = load_runs([path])
    if loaded.problems:
        raise loaded.problems[0]
    runs = [run for run in loaded.runs if run.is_finished]
    if not runs:
        raise InvalidValueError(printable(path), "a finished run", "none")
    return runs


def sequence_names(run: RunResult, count: int) -> list[str]:
    """The names of a run's videos as names of files: a / in them becomes a -, everything else stays.

    Args:
        run: The run; videos without a recorded name are called "video-0" and so on.
        count: How many videos it has.

    Raises:
        InvalidValueError: If a name cannot be that of a file, or two are one.
    """
    names = [as_file_name(f"{run.name}: name of video {number}", run.video_name(number)) for number in range(count)]
    check_unique(f"{run.name}: names of videos", names)
    return names


def check_unique(key: str, names: Sequence[str]) -> None:
    """Refuse names of which two are one, also where letters have no case (`InvalidValueError`)."""
    twice = [name for name, times in Counter(map(str.casefold, names)).items() if times > 1]
    if twice:
        raise InvalidValueError(key, "a name of its own for each", f"several {twice[0]!r}")


def as_file_name(key: str, name: str) -> str:
    """A name with - in place of / and blanks (`InvalidValueError` where it could not be that of a file)."""
    plain = name.replace("/", "-").replace("\\", "-").replace(" ", "-")
    if not plain.isprintable() or not plain.strip("-") or plain.startswith(".") or len(plain.encode()) > MAX_NAME:
        raise InvalidValueError(key, f"a name of 1 to {MAX_NAME} bytes that a file can have", f"{name!r:.80}")
    return plain


def to_xywh(boxes_xyxy: Sequence[Sequence[float]], first_pixel: int) -> Boxes:
    """Boxes (F, 4) as x, y, width, height.

    Args:
        boxes_xyxy: Pixel edges counted from 0, as everywhere in this package.
        first_pixel: The number that a benchmark gives to the first pixel, 0 or 1.
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    return np.concatenate([boxes[:, :2] + first_pixel, boxes[:, 2:] - boxes[:, :2]], axis=1)


def to_lines(rows: Sequence[Sequence[float]] | Boxes) -> str:
    """Lines of numbers, separated by commas, with as many digits as tell them from all others."""
    return "".join(",".join(repr(float(value)) for value in row) + "\n" for row in rows)


def has_target(boxes_xyxy: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """In which frames there is a target, (F,): those whose true box has an area."""
    return has_area(np.asarray(boxes_xyxy, np.float64))
