"""VOT challenges up to 2019 (Kristan et al.): ``NAME/color/00000001.jpg`` and ``NAME/groundtruth.txt``.

The first challenges have the images beside the truth. A line of ``groundtruth.txt`` is a rectangle ``x,y,w,h``, a
polygon ``x1,y1,…,x4,y4``, or, in the long-term challenges, ``nan,nan,nan,nan`` where the target is not visible. Of a
polygon the bounding box is taken, which is what the VOT toolkit gives trackers that take rectangles. The masks of later
challenges are refused.

Absent targets: frames of unknown truth are left out of the accuracy, and those without the target do not count for the
recall of the long-term challenges (``vot/analysis/accuracy.py`` and ``tpr.py`` of the VOT toolkit); here they are left
out. Boxes are taken as counted from 0, as the toolkit does.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts import lasot
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, find_folders, to_xyxy
from armory_skelevision.datasets.numbers import parse_numbers, place, read_lines
from armory_skelevision.io import printable
from armory_skelevision.validation import InvalidValueError

OTHERS = ("absence.label", "cover.label", *lasot.FLAGS)
"""Files of GOT-10k and LaSOT, whose sequences could be read as those of VOT, with absent targets in them."""

REGIONS = {4: "a rectangle x,y,w,h", 8: "a polygon x1,y1,…,x4,y4"}


def find(root: Path) -> Readers:
    """The sequences of a challenge's folder."""
    return {folder.name: partial(read, folder, root) for folder in find_folders(root, "groundtruth.txt")}


def read(folder: Path, root: Path) -> ImageSequence:
    """Read a sequence; no file of it may lie outside of ``root``."""
    truth = folder / "groundtruth.txt"
    if other := next((folder / name for name in OTHERS if os.path.exists(folder / name)), None):
        fix = "give the layout of that benchmark"
        raise InvalidValueError(printable(other), "no file of another benchmark", "one", fix)
    lines = read_lines(truth, root)
    if not lines:
        raise InvalidValueError(printable(truth), "one region per image", "an empty file")
    boxes_xywh = [_parse_region(line, place(truth, number)) for number, line in enumerate(lines, start=1)]
    place_of_images = folder / "color" if (folder / "color").is_dir() else folder
    images = numbered_images(place_of_images)
    frames = match_images(truth, len(lines), take_range(place_of_images, images, min(images), max(images)))
    return ImageSequence(folder.name, frames, truth, to_xyxy(truth, boxes_xywh))


def _parse_region(line: str, key: str) -> tuple[float, ...] | None:
    """The bounding box x, y, w, h of a region; None where the target is not visible."""
    numbers = parse_numbers(line, key, REGIONS)
    if numbers is None or len(numbers) == 4:
        return numbers
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
