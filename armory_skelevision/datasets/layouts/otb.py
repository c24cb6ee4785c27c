"""OTB2015 (Wu, Lim, Yang, PAMI 2015): ``NAME/img/0001.jpg`` and ``NAME/groundtruth_rect.txt``.

A line of the truth is ``x y w h``, separated by commas or by blanks, with the first pixel numbered 1. Boxes here are
pixel edges counted from 0: ``(x - 1, y - 1, x - 1 + w, y - 1 + h)``. A folder with several targets has
``groundtruth_rect.1.txt``, ``groundtruth_rect.2.txt`` and holds the sequences ``NAME-1``, ``NAME-2``.

Absent targets: the benchmark's own frames all have a box. Attacked or other videos in its layout have ``0,0,0,0`` in a
frame without a target, which is left out, as PySOT's toolkit does with boxes without a size.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.boxes import LEFT_OUT_XYXY
from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, merge
from armory_skelevision.datasets.numbers import parse_box_xywh, place, read_lines
from armory_skelevision.datasets.otb_names import ANNOTATED_FRAMES
from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError


def find(root: Path) -> Readers:
    """The sequences of a folder."""
    readers: list[tuple[str, partial[ImageSequence]]] = []
    for folder in list_folder(root):
        truths = groundtruth_files(folder) if folder.is_dir() else []
        if len(truths) > 1:
            truths = [(number, path) for number, path in truths if read_lines(path, root)]
        names = [f"{folder.name}-{number or 1}" for number, _ in truths] if len(truths) > 1 else [folder.name]
        readers += [(name, partial(_read, folder, name, root)) for name in names if truths]
    return merge(root, readers)


def _read(folder: Path, name: str, root: Path) -> ImageSequence:
    return next(sequence for sequence in read_folder(folder, root, may_be_absent=True) if sequence.name == name)


def read_boxes(path: Path, root: Path | None = None, may_be_absent: bool = False) -> NDArray[np.float32]:
    """Read a ground truth file as boxes (F, 4) float32 xyxy, pixel edges counted from 0.

    Args:
        path: The file.
        root: A folder that it must be in, whatever links the path goes through; None for any place.
        may_be_absent: Whether 0,0,0,0 stands for a frame without the target, which becomes `LEFT_OUT_XYXY`.

    Raises:
        InvalidValueError: For a line that is not a box, or without the target in the first frame; the key is
            ``file:line``.
    """
    boxes = []
    for number, line in enumerate(read_lines(path, root), start=1):
        is_absent = may_be_absent and number > 1 and _is_absent(line, place(path, number))
        boxes.append(LEFT_OUT_XYXY if is_absent else _parse_box(line, place(path, number)))
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def groundtruth_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of true boxes, and the number in each name, "" if there is none (`groundtruth_rect.2.txt`)."""
    matches = [(re.fullmatch(r"groundtruth_rect\.?([0-9]*)\.txt", path.name), path) for path in list_folder(folder)]
    return [(match[1], path) for match, path in matches if match]


def read_folder(folder: Path, root: Path | None = None, may_be_absent: bool = False) -> list[ImageSequence]:
    """The sequences of a folder, one for each target, named after it; other arguments are those of `read_boxes`."""
    truths = groundtruth_files(folder)
    if not truths:
        raise InvalidValueError(printable(folder), "a file groundtruth_rect.txt", "images only")
    # Human4 has an empty file for a first target beside the real one.
    filled = [(number, path) for number, path in truths if read_lines(path, root)]
    if not filled:
        raise InvalidValueError(printable(truths[0][1]), "one line x y w h per image", "an empty file")
    images = _numbered_images(folder)
    sequences = []
    for number, path in filled:
        boxes_xyxy = read_boxes(path, root, may_be_absent)
        name = f"{folder.name}-{number or 1}" if len(filled) > 1 else folder.name
        frames = _match_images(folder.name, images, path, len(boxes_xyxy))
        sequences.append(ImageSequence(name, frames, path, boxes_xyxy))
    return sequences


def _numbered_images(folder: Path) -> dict[int, Path]:
    if not (folder / "img").is_dir():
        raise InvalidValueError(printable(folder), "a folder img/ with the images", "a ground truth only")
    return numbered_images(folder / "img")


def _match_images(name: str, images: dict[int, Path], truth: Path, boxes: int) -> tuple[Path, ...]:
    first, last = min(images), max(images)
    if name in ANNOTATED_FRAMES and len(images) > boxes:
        first, last = ANNOTATED_FRAMES[name]
    return match_images(truth, boxes, take_range(truth.parent / "img", images, first, last))


def _is_absent(line: str, key: str) -> bool:
    return not any(parse_box_xywh(line, key))


def _parse_box(line: str, key: str) -> tuple[float, float, float, float]:
    x, y, width, height = parse_box_xywh(line, key)
    box_xyxy = x - 1, y - 1, x - 1 + width, y - 1 + height
    left, top, right, bottom = map(np.float32, box_xyxy)
    if not (left < right and top < bottom):
        raise InvalidValueError(key, "a box x y w h, with w and h above 0", repr(line)[:100])
    return box_xyxy
