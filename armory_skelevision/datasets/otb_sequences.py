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

IMAGE_TYPES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Sequence:
    """One target's way through a video.

    Attributes:
        name: The folder's name; with ``-1``, ``-2`` after it where the folder holds several targets.
        images: The frames' files, in order.
        truth: The file with the ground truth.
        boxes_xyxy: (F, 4) float32, pixel edges counted from 0.
    """

    name: str
    images: tuple[Path, ...]
    truth: Path
    boxes_xyxy: NDArray[np.float32]


def find_sequences(root: Path, names: Collection[str] | None = None) -> list[Sequence]:
    """All sequences under a folder, sorted by name.

    Args:
        root: The folder.
        names: Folders (``Jogging``) or sequences (``Jogging-2``) to take. None takes all but those that OTB2015 has
            and the paper's OTB2015-Person has not.

    Raises:
        FileNotFoundError: If there is no sequence, or a named one is missing.
        ValueError: If a sequence's images and ground truth do not fit together.
    """
    found = sorted(folder for folder in root.iterdir() if folder.is_dir() and _looks_like_sequence(folder))
    if names is None:
        sequences = [sequence for folder in found if folder.name not in OTHER_FOLDERS for sequence in _read(folder)]
    else:
        sequences = [sequence for folder in found if _is_named(folder.name, names) for sequence in _read(folder)]
        sequences = [s for s in sequences if s.name in names or s.truth.parent.name in names]
        missing = sorted(set(names) - {s.name for s in sequences} - {s.truth.parent.name for s in sequences})
        if missing:
            raise FileNotFoundError(f"{root} lacks the sequences {missing}; it has {[folder.name for folder in found]}")
    if not sequences:
        raise FileNotFoundError(
            f"{root} holds no person sequences: expected folders <name>/ with img/0001.jpg, … and groundtruth_rect.txt"
        )
    return sequences


def read_boxes(path: Path) -> NDArray[np.float32]:
    """Read a ground truth file.

    Returns:
        (F, 4) xyxy, pixel edges counted from 0.

    Raises:
        ValueError: For a line that is no box; names file and line.
    """
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    boxes = [_parse_box(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def _looks_like_sequence(folder: Path) -> bool:
    return (folder / "img").is_dir() or bool(_truth_files(folder))


def _is_named(folder: str, names: Collection[str]) -> bool:
    return folder in names or any(re.fullmatch(re.escape(folder) + r"-\d+", name) for name in names)


def _truth_files(folder: Path) -> dict[str, Path]:
    matches = [(re.fullmatch(r"groundtruth_rect\.?(\d*)\.txt", path.name), path) for path in folder.iterdir()]
    return {match[1]: path for match, path in sorted(matches, key=lambda pair: pair[1].name) if match}


def _read(folder: Path) -> list[Sequence]:
    truths = _truth_files(folder)
    if not truths:
        raise ValueError(f"{folder} has images but no groundtruth_rect.txt")
    # Human4 comes with an empty file for a first target beside the real one.
    filled = {number: path for number, path in truths.items() if path.read_bytes().strip()}
    if not filled:
        raise ValueError(f"{next(iter(truths.values()))} is empty: expected one line x y w h for each image")
    images = _numbered_images(folder)
    sequences = []
    for number, path in filled.items():
        boxes_xyxy = read_boxes(path)
        name = f"{folder.name}-{number or 1}" if len(filled) > 1 else folder.name
        sequences.append(Sequence(name, _match_images(folder.name, images, path, len(boxes_xyxy)), path, boxes_xyxy))
    return sequences


def _numbered_images(folder: Path) -> dict[int, Path]:
    images: dict[int, Path] = {}
    if not (folder / "img").is_dir():
        raise ValueError(f"{folder} has a ground truth but no folder img/ with its images")
    for path in sorted((folder / "img").iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_TYPES:
            continue
        match = re.search(r"(\d+)$", path.stem)
        if match is None:
            raise ValueError(f"{path}: expected a file name that ends in the frame's number, as 0001.jpg")
        if int(match[1]) in images:
            raise ValueError(f"{path} and {images[int(match[1])].name} are both frame {int(match[1])}")
        images[int(match[1])] = path
    if not images:
        raise ValueError(f"{folder / 'img'} holds no images ({', '.join(IMAGE_TYPES)})")
    return dict(sorted(images.items()))


def _match_images(name: str, images: dict[int, Path], truth: Path, boxes: int) -> tuple[Path, ...]:
    first, last = min(images), max(images)
    if name in ANNOTATED_FRAMES and len(images) > boxes:
        first, last = ANNOTATED_FRAMES[name]
    missing = [number for number in range(first, last + 1) if number not in images]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise ValueError(f"{truth.parent / 'img'}: {len(missing)} of the frames {first} to {last} missing: {some}")
    frames = tuple(path for number, path in images.items() if first <= number <= last)
    if len(frames) != boxes:
        raise ValueError(
            f"{truth} has {boxes} boxes for {len(frames)} images ({frames[0].name} to {frames[-1].name}): "
            "expected one line for each image"
        )
    return frames


def _parse_box(line: str, where: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(word) for word in line.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"{where}: expected four numbers x y w h, got {line.strip()!r}") from None
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise ValueError(f"{where}: expected finite numbers x y w h, got {line.strip()!r}")
    if width <= 0 or height <= 0:
        raise ValueError(f"{where}: expected a box wider and higher than 0, got {line.strip()!r}")
    return x - 1, y - 1, x - 1 + width, y - 1 + height
