"""UAV123 (Mueller, Smith, Ghanem, ECCV 2016): ``anno/UAV123/NAME.txt`` and ``data_seq/UAV123/FOLDER/000001.jpg``.

A line of ``NAME.txt`` is ``x,y,w,h``, or ``NaN,NaN,NaN,NaN`` where the target is occluded or out of view. Some long
videos are several sequences, whose numbers of the first and last image the benchmark has in its ``configSeqs.m``.

Absent targets: the benchmark's code is OTB's, in which a frame without a true box counts as lost for success and as
found for precision; PySOT and pytracking follow it. Such a frame gets an empty box here, where the target was last, and
metrics do the same. Boxes are taken as counted from 0, as trackers' toolkits do.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, to_xyxy
from armory_skelevision.datasets.numbers import parse_numbers, place, read_lines
from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError

_RANGES = {
    "bird1": ((1, 253), (775, 1477), (1573, 2437)),
    "car1": ((1, 751), (751, 1627), (1627, 2629)),
    "car16": ((1, 415), (415, 1993)),
    "car6": ((1, 487), (487, 1807), (1807, 2953), (2953, 3925), (3925, 4861)),
    "car8": ((1, 1357), (1357, 2575)),
    "group1": ((1, 1333), (1333, 2515), (2515, 3925), (3925, 4873)),
    "group2": ((1, 907), (907, 1771), (1771, 2683)),
    "group3": ((1, 1567), (1567, 2827), (2827, 4369), (4369, 5527)),
    "person12": ((1, 601), (601, 1621)),
    "person14": ((1, 847), (847, 1813), (1813, 2923)),
    "person17": ((1, 1501), (1501, 2347)),
    "person19": ((1, 1243), (1243, 2791), (2791, 4357)),
    "person2": ((1, 1189), (1189, 2623)),
    "person4": ((1, 1501), (1501, 2743)),
    "person5": ((1, 877), (877, 2101)),
    "person7": ((1, 1249), (1249, 2065)),
    "person8": ((1, 1075), (1075, 1525)),
    "truck4": ((1, 577), (577, 1261)),
    "uav1": ((1, 1555), (1555, 2377), (2473, 3469)),
}
PARTS = {
    f"{folder}_{number}": (folder, *part) for folder, parts in _RANGES.items() for number, part in enumerate(parts, 1)
}
"""Folder, first and last image of the sequences that share a folder (``configSeqs.m``)."""


def find(root: Path) -> Readers:
    """The sequences of the benchmark's folder, which holds ``anno`` and ``data_seq``."""
    truths = [path for path in list_folder(root / "anno" / "UAV123") if path.suffix == ".txt"]
    return {path.stem: partial(_read, path, root) for path in truths}


def _read(truth: Path, root: Path) -> ImageSequence:
    lines = read_lines(truth, root)
    if not lines:
        raise InvalidValueError(printable(truth), "one line x,y,w,h per image", "an empty file")
    kinds = {4: "four numbers x,y,w,h"}
    boxes_xywh = [parse_numbers(line, place(truth, number), kinds) for number, line in enumerate(lines, start=1)]
    name, first, last = PARTS.get(truth.stem, (truth.stem, 1, None))
    folder = root / "data_seq" / "UAV123" / name
    images = numbered_images(folder)
    frames = match_images(truth, len(lines), take_range(folder, images, first, last or max(images)))
    return ImageSequence(truth.stem, frames, truth, _fill(to_xyxy(truth, boxes_xywh), boxes_xywh))


def _fill(boxes_xyxy: np.ndarray, boxes_xywh: list[tuple[float, ...] | None]) -> np.ndarray:
    """The boxes with an empty one where there is none, at the centre of the last one."""
    for frame, box_xywh in enumerate(boxes_xywh):
        if box_xywh is None:
            centre = (boxes_xyxy[frame - 1, :2] + boxes_xyxy[frame - 1, 2:]) / 2
            boxes_xyxy[frame] = [*centre, *centre]
    return boxes_xyxy
