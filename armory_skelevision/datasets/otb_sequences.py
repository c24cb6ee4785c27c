"""Reads folders of OTB-style sequences: ``<name>/img/*.jpg`` and ``<name>/groundtruth_rect*.txt``.

Convention: a ground truth line is ``x y w h``, separated by commas, tabs or spaces, with the first pixel numbered 1.
Boxes here are pixel edges counted from 0: ``(x - 1, y - 1, x - 1 + w, y - 1 + h)``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.otb_names import ANNOTATED_FRAMES, OTHER_FOLDERS
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
        InvalidValueError: If a sequence's images and ground truth do not match, or a line is not a box; the key is the
            file and its line.
    """
    folders = {folder.name: folder for folder in sorted(root.iterdir()) if folder.is_dir()}
    found = [name for name, folder in folders.items() if (folder / "img").is_dir() or _groundtruth_files(folder)]
    wanted = set(found) - OTHER_FOLDERS if names is None else set(names)
    opened = wanted | {re.sub(r"-\d+$", "", name) for name in wanted}
    read = [(name, sequence) for name in found if name in opened for sequence in _read(folders[name])]
    sequences = [sequence for name, sequence in read if name in wanted or sequence.name in wanted]
    missing = sorted(wanted - {name for name, _ in read} - {sequence.name for sequence in sequences})
    if missing:
        got = f"only {', '.join(found) or 'none'}"
        raise MissingFileError(str(root), f"the sequences {', '.join(missing)}", got)
    if not sequences:
        expected = "person sequences: folders <name>/ with img/0001.jpg, … and groundtruth_rect.txt"
        raise MissingFileError(str(root), expected, "none")
    return sequences


def read_boxes(path: Path) -> NDArray[np.float32]:
    """Read a ground truth file as boxes (F, 4) float32 xyxy, pixel edges counted from 0.

    Raises:
        InvalidValueError: For a line that is not a box; the key is ``file:line``.
    """
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    boxes = [_parse_box(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def _groundtruth_files(folder: Path) -> dict[str, Path]:
    matches = [(re.fullmatch(r"groundtruth_rect\.?(\d*)\.txt", path.name), path) for path in folder.iterdir()]
    return {match[1]: path for match, path in sorted(matches, key=lambda pair: pair[1].name) if match}


def _read(folder: Path) -> list[OtbSequence]:
    truths = _groundtruth_files(folder)
    if not truths:
        raise InvalidValueError(str(folder), "a file groundtruth_rect.txt", "images only")
    # Human4 has an empty file for a first target beside the real one.
    filled = {number: path for number, path in truths.items() if path.read_bytes().strip()}
    if not filled:
        raise InvalidValueError(str(next(iter(truths.values()))), "one line x y w h per image", "an empty file")
    images = _numbered_images(folder)
    sequences = []
    for number, path in filled.items():
        boxes_xyxy = read_boxes(path)
        name = f"{folder.name}-{number or 1}" if len(filled) > 1 else folder.name
        sequences.append(OtbSequence(name, _match_images(folder.name, images, path, len(boxes_xyxy)), path, boxes_xyxy))
    return sequences


def _numbered_images(folder: Path) -> dict[int, Path]:
    images: dict[int, Path] = {}
    if not (folder / "img").is_dir():
        raise InvalidValueError(str(folder), "a folder img/ with the images", "a ground truth only")
    for path in sorted((folder / "img").iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_TYPES:
            continue
        match = re.search(r"(\d+)$", path.stem)
        if match is None:
            raise InvalidValueError(str(path), "a name that ends in the frame's number, as 0001.jpg", path.name)
        if int(match[1]) in images:
            got = f"{images[int(match[1])].name} for frame {int(match[1])}, too"
            raise InvalidValueError(str(path), "one image per frame", got)
        images[int(match[1])] = path
    if not images:
        raise InvalidValueError(str(folder / "img"), f"images ({', '.join(IMAGE_TYPES)})", "none")
    return dict(sorted(images.items()))


def _match_images(name: str, images: dict[int, Path], truth: Path, boxes: int) -> tuple[Path, ...]:
    first, last = min(images), max(images)
    if name in ANNOTATED_FRAMES and len(images) > boxes:
        first, last = ANNOTATED_FRAMES[name]
    missing = [number for number in range(first, last + 1) if number not in images]
    if missing:
        got = f"{len(missing)} missing: {', '.join(map(str, missing[:5]))}" + (", …" if len(missing) > 5 else "")
        raise InvalidValueError(str(truth.parent / "img"), f"frames {first} to {last}", got)
    frames = tuple(path for number, path in images.items() if first <= number <= last)
    if len(frames) != boxes:
        got = f"{boxes} boxes for {len(frames)} images ({frames[0].name} to {frames[-1].name})"
        raise InvalidValueError(str(truth), "one line per image", got)
    return frames


def _parse_box(line: str, key: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(word) for word in line.replace(",", " ").split())
    except ValueError:
        raise InvalidValueError(key, "four numbers x y w h", repr(line.strip())) from None
    if not (all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0):
        raise InvalidValueError(key, "finite numbers x y w h, with w and h above 0", repr(line.strip()))
    return x - 1, y - 1, x - 1 + width, y - 1 + height
