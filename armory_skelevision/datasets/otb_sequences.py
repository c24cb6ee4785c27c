"""Reads folders of OTB-style sequences: ``<name>/img/*.jpg`` and ``<name>/groundtruth_rect*.txt``.

Convention: a ground truth line is ``x y w h``, separated by commas or by blanks, with the first pixel numbered 1.
Boxes here are pixel edges counted from 0: ``(x - 1, y - 1, x - 1 + w, y - 1 + h)``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.numbers import duplicates, parse_box_xywh, place, read_lines
from armory_skelevision.datasets.otb_names import ANNOTATED_FRAMES, OTHER_FOLDERS
from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError, MissingFileError

IMAGE_TYPES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class OtbSequence:
    """A video with one annotated target.

    Attributes:
        name: The folder's name, followed by ``-1``, ``-2`` if the folder has several targets.
        images: The frames' files, in order.
        groundtruth: The file of the true boxes.
        boxes_xyxy: (F, 4) float32, pixel edges counted from 0.
    """

    name: str
    images: tuple[Path, ...]
    groundtruth: Path
    boxes_xyxy: NDArray[np.float32]


def find_sequences(root: Path, names: Collection[str] | None = None) -> list[OtbSequence]:
    """Read all sequences in the folders under ``root``, sorted by name. Images are listed, not read.

    Args:
        names: Folders (``Jogging``) or sequences (``Jogging-2``) to take. None takes all except those of OTB2015 that
            are not in the paper's OTB2015-Person.

    Raises:
        MissingFileError: If there is no sequence, or a named one is missing.
        InvalidValueError: If a sequence's images and ground truth do not match, two sequences would have one name, or a
            line is not a box; the key is the file and its line.
    """
    folders = {folder.name: folder for folder in list_folder(root) if folder.is_dir()}
    found = [name for name, folder in folders.items() if (folder / "img").is_dir() or _groundtruth_files(folder)]
    wanted = set(found) - OTHER_FOLDERS if names is None else set(names)
    opened = wanted | {re.sub(r"-\d+$", "", name) for name in wanted}
    read = [(name, sequence) for name in found if name in opened for sequence in _read(folders[name])]
    sequences = [sequence for name, sequence in read if name in wanted or sequence.name in wanted]
    missing = sorted(wanted - {name for name, _ in read} - {sequence.name for sequence in sequences})
    if missing:
        got = f"only {', '.join(map(printable, found)) or 'none'}"
        raise MissingFileError(printable(root), f"the sequences {', '.join(missing)}", got)
    if not sequences:
        expected = "person sequences: folders <name>/ with img/0001.jpg, … and groundtruth_rect.txt"
        raise MissingFileError(printable(root), expected, "none")
    if twice := duplicates([sequence.name for sequence in sequences]):
        raise InvalidValueError(printable(root), "one sequence of each name", f"several called {', '.join(twice)}")
    return sequences


def read_boxes(path: Path) -> NDArray[np.float32]:
    """Read a ground truth file as boxes (F, 4) float32 xyxy, pixel edges counted from 0.

    Raises:
        InvalidValueError: For a line that is not a box; the key is ``file:line``.
    """
    boxes = [_parse_box(line, place(path, number)) for number, line in enumerate(read_lines(path), start=1)]
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def _groundtruth_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of true boxes, and the number in each name, "" if there is none."""
    matches = [(re.fullmatch(r"groundtruth_rect\.?([0-9]*)\.txt", path.name), path) for path in list_folder(folder)]
    return [(match[1], path) for match, path in matches if match]


def _read(folder: Path) -> list[OtbSequence]:
    truths = _groundtruth_files(folder)
    if not truths:
        raise InvalidValueError(printable(folder), "a file groundtruth_rect.txt", "images only")
    # Human4 has an empty file for a first target beside the real one.
    filled = [(number, path) for number, path in truths if read_lines(path)]
    if not filled:
        raise InvalidValueError(printable(truths[0][1]), "one line x y w h per image", "an empty file")
    images = _numbered_images(folder)
    sequences = []
    for number, path in filled:
        boxes_xyxy = read_boxes(path)
        name = f"{folder.name}-{number or 1}" if len(filled) > 1 else folder.name
        sequences.append(OtbSequence(name, _match_images(folder.name, images, path, len(boxes_xyxy)), path, boxes_xyxy))
    return sequences


def _numbered_images(folder: Path) -> dict[int, Path]:
    images: dict[int, Path] = {}
    if not (folder / "img").is_dir():
        raise InvalidValueError(printable(folder), "a folder img/ with the images", "a ground truth only")
    for path in list_folder(folder / "img"):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_TYPES:
            continue
        match = re.search(r"([0-9]+)$", path.stem)
        if match is None:
            expected = "a name that ends in the frame's number, as 0001.jpg"
            raise InvalidValueError(printable(path), expected, printable(path.name))
        if (other := images.setdefault(int(match[1]), path)) != path:
            got = f"{printable(other.name)} for frame {int(match[1])}, too"
            raise InvalidValueError(printable(path), "one image per frame", got)
    if not images:
        raise InvalidValueError(printable(folder / "img"), f"images ({', '.join(IMAGE_TYPES)})", "none")
    return dict(sorted(images.items()))


def _match_images(name: str, images: dict[int, Path], truth: Path, boxes: int) -> tuple[Path, ...]:
    first, last = min(images), max(images)
    if name in ANNOTATED_FRAMES and len(images) > boxes:
        first, last = ANNOTATED_FRAMES[name]
    # Numbers may be far apart: a range over them may be larger than the memory.
    given = [number for number in images if first <= number <= last]
    if gaps := [number for number, after in itertools.pairwise([first - 1, *given, last + 1]) if after > number + 1]:
        count = last - first + 1 - len(given)
        got = f"{count} missing: {', '.join(str(number + 1) for number in gaps[:5])}" + (", …" if count > 1 else "")
        raise InvalidValueError(printable(truth.parent / "img"), f"frames {first} to {last}", got)
    frames = tuple(path for number, path in images.items() if first <= number <= last)
    if len(frames) != boxes:
        names = f"{printable(frames[0].name)} to {printable(frames[-1].name)}"
        got = f"{boxes} boxes for {len(frames)} images ({names})"
        raise InvalidValueError(printable(truth), "one line per image", got)
    return frames


def _parse_box(line: str, key: str) -> tuple[float, float, float, float]:
    x, y, width, height = parse_box_xywh(line, key)
    box_xyxy = x - 1, y - 1, x - 1 + width, y - 1 + height
    left, top, right, bottom = map(np.float32, box_xyxy)
    if not (left < right and top < bottom):
        raise InvalidValueError(key, "a box x y w h, with w and h above 0", repr(line)[:100])
    return box_xyxy
