"""GOT-10k (Huang, Zhao, Huang, PAMI 2021): ``NAME/00000001.jpg``, ``NAME/groundtruth.txt``, ``NAME/cover.label``.

Below the folder of a subset (``val``), each sequence has a line ``x,y,w,h`` for each image, and a line for each image
in ``absence.label`` (1 where the target is absent) and ``cover.label`` (its visible share in eighths, 0 to 8);
``meta_info.ini`` states the rate of the images. The test set's truth is withheld but for the first frame.

Absent targets: the benchmark leaves out the first frame and all with a cover of 0, from average overlap and success
rates alike (``ExperimentGOT10k.report`` of the GOT-10k toolkit). Boxes are taken as counted from 0, as the toolkit
does.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import (
    ImageSequence,
    Readers,
    check_count,
    find_folders,
    read_boxes_xywh,
    to_xyxy,
)
from armory_skelevision.datasets.numbers import place, read_flags, read_lines
from armory_skelevision.validation import InvalidValueError

FRAME_RATE = 10.0
"""Images per second, unless ``meta_info.ini`` says otherwise."""


def find(root: Path) -> Readers:
    """The sequences of a subset's folder."""
    return {folder.name: partial(read, folder, root) for folder in find_folders(root, "groundtruth.txt")}


def read(folder: Path, root: Path) -> ImageSequence:
    """Read a sequence; no file of it may lie outside of ``root``."""
    truth = folder / "groundtruth.txt"
    boxes_xywh = read_boxes_xywh(truth, root)
    images = numbered_images(folder)
    frames = take_range(folder, images, min(images), max(images))
    if len(boxes_xywh) == 1 and len(frames) > 1:
        rows = [boxes_xywh[0], *[None] * (len(frames) - 1)]
    else:
        match_images(truth, len(boxes_xywh), frames)
        covers = _read_covers(folder / "cover.label", root)
        check_count(folder / "cover.label", len(covers), len(frames))
        check_count(folder / "absence.label", len(read_flags(folder / "absence.label", root)), len(frames))
        rows = [box if cover else None for box, cover in zip(boxes_xywh, covers, strict=True)]
    return ImageSequence(folder.name, frames, truth, to_xyxy(truth, rows), _read_rate(folder / "meta_info.ini", root))


def _read_covers(path: Path, root: Path) -> list[int]:
    lines = read_lines(path, root)
    for number, line in enumerate(lines, start=1):
        if not re.fullmatch("[0-8]", line):
            raise InvalidValueError(place(path, number), "the visible share in eighths, 0 to 8", repr(line)[:40])
    return [int(line) for line in lines]


def _read_rate(path: Path, root: Path) -> float:
    """The value of ``anno_fps``, such as 10Hz, in frames per second; the usual rate where it is not stated."""
    for number, line in enumerate(read_lines(path, root) if path.exists() else [], start=1):
        key, _, value = line.partition(":")
        if key.strip() == "anno_fps":
            match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)(?:Hz|fps)?", value.strip())
            if match is None or not float(match[1]):
                raise InvalidValueError(place(path, number), "a rate such as anno_fps: 10Hz", repr(line)[:40])
            return float(match[1])
    return FRAME_RATE
