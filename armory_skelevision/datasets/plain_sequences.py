"""Sequences as scripts write them: ``NAME/img/00001.jpg`` and ``NAME/groundtruth_rect.txt``, boxes counted from 0.

A line of the truth is ``x,y,w,h`` in pixels, or ``nan,nan,nan,nan`` where the target is not visible. Unlike OTB's, the
first pixel is 0. Boxes of several objects are in ``object1_rect.txt``, ``object2_rect.txt``, and are the sequences
``NAME-1`` and ``NAME-2``; the name of a single one is that of its folder.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from armory_skelevision.boxes import LEFT_OUT_XYXY
from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers
from armory_skelevision.datasets.numbers import parse_numbers, place, read_lines
from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError

_TRUTH = re.compile(r"(?:groundtruth|object([0-9]+))_rect\.txt")


def find(root: Path) -> Readers:
    """The sequences of a folder."""
    readers: dict[str, partial[ImageSequence]] = {}
    for folder in list_folder(root):
        truths = {path: _TRUTH.fullmatch(path.name) for path in list_folder(folder)} if folder.is_dir() else {}
        found = [(match[1], path) for path, match in truths.items() if match]
        for number, path in found:
            name = folder.name if len(found) == 1 else f"{folder.name}-{number or 0}"
            readers[name] = partial(_read, name, path, root)
    return readers


def _read(name: str, truth: Path, root: Path) -> ImageSequence:
    folder = truth.parent / "img"
    rows = [_parse_row(line, place(truth, number)) for number, line in enumerate(read_lines(truth, root), start=1)]
    if not rows:
        raise InvalidValueError(printable(truth), "one line x,y,w,h per image", "an empty file")
    images = numbered_images(folder)
    frames = match_images(truth, len(rows), take_range(folder, images, min(images), max(images)))
    return ImageSequence(name, frames, truth, np.array(rows, np.float32))


def _parse_row(line: str, key: str) -> tuple[float, ...]:
    box_xywh = parse_numbers(line, key, {4: "four numbers x,y,w,h, or nan four times"})
    if box_xywh is None:
        return LEFT_OUT_XYXY
    x, y, width, height = box_xywh
    if not (width > 0 and height > 0):
        raise InvalidValueError(key, "a box x,y,w,h with w and h above 0", repr(line)[:100])
    return x, y, x + width, y + height
