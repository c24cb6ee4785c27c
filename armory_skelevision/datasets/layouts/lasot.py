"""LaSOT (Fan et al., CVPR 2019): ``CATEGORY/NAME/img/00000001.jpg``, ``groundtruth.txt``, and two files of flags.

``groundtruth.txt`` has a line ``x,y,w,h`` for each image; ``full_occlusion.txt`` and ``out_of_view.txt`` have a flag
for each, in one line, separated by commas. A box of 0,0,0,0 says, as a flag does, that the target is not visible. The
folder of a category may be left out.

Absent targets: the benchmark takes the flagged frames out of the numerators of success and both precisions and leaves
them in the denominators, so they count as lost (``calc_seq_err_robust.m`` and ``eval_tracker.m`` of the LaSOT toolkit;
PySOT's toolkit likewise). Boxes are taken as counted from 0, as trackers' toolkits do.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from armory_skelevision.boxes import LOST_XYXY
from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import (
    ImageSequence,
    Readers,
    check_count,
    find_folders,
    merge,
    read_boxes_xywh,
    to_xyxy,
)
from armory_skelevision.datasets.numbers import read_flags

FLAGS = ("full_occlusion.txt", "out_of_view.txt")


def find(root: Path) -> Readers:
    """The sequences of a folder, or of the categories in it."""
    folders = find_folders(root, "groundtruth.txt", nested=True)
    return merge(root, ((folder.name, partial(read, folder, root)) for folder in folders))


def read(folder: Path, root: Path) -> ImageSequence:
    """Read a sequence; no file of it may lie outside of ``root``."""
    truth = folder / "groundtruth.txt"
    boxes_xywh, hidden = read_annotation(folder, root)
    images = numbered_images(folder / "img")
    frames = match_images(truth, len(boxes_xywh), take_range(folder / "img", images, min(images), max(images)))
    rows = [None if away else box for box, away in zip(boxes_xywh, hidden, strict=True)]
    return ImageSequence(folder.name, frames, truth, to_xyxy(truth, rows, LOST_XYXY))


def read_annotation(folder: Path, root: Path) -> tuple[list[tuple[float, float, float, float]], list[bool]]:
    """The boxes x, y, w, h of a sequence, and whether the target is hidden in each frame."""
    boxes_xywh = read_boxes_xywh(folder / "groundtruth.txt", root)
    hidden = [not any(box) for box in boxes_xywh]
    for name in FLAGS:
        flags = read_flags(folder / name, root)
        check_count(folder / name, len(flags), len(boxes_xywh))
        hidden = [one or other for one, other in zip(hidden, flags, strict=True)]
    return boxes_xywh, hidden
