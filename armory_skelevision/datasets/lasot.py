"""Reads LaSOT's 20 person sequences (Fan et al. 2019) as training data, split as in Das et al. 2022, section 4.2.

Layout, as published: ``person-N/img/00000001.jpg`` …, ``groundtruth.txt`` with a line ``x,y,w,h`` per image, and
``full_occlusion.txt`` and ``out_of_view.txt`` with one flag per image, separated by commas.

Convention: boxes are taken as pixel edges counted from 0, as trackers' toolkits read them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, MissingFileError

SEQUENCES = tuple(f"person-{number}" for number in range(1, 21))
FRAMES = {"train": range(800), "val": range(800, 900)}
"""The frames of each sequence, by split."""


def read_lasot(root: Path, split: str) -> AnnotatedPeople:
    """Read the frames of a split in which the person is visible.

    Args:
        root: Folder with ``person-1`` to ``person-20``.
        split: "train", the first 800 frames of each sequence, or "val", the next 100.

    Raises:
        InvalidValueError: For another split.
        MissingFileError: If the folder has no usable sequence.
    """
    if split not in FRAMES:
        raise InvalidValueError("split", " or ".join(map(repr, FRAMES)), repr(split))
    parts: dict[str, list[AnnotatedPerson]] = {}
    problems = []
    for number, name in enumerate(SEQUENCES, start=1):
        try:
            parts[name] = _read_sequence(root / name, number, FRAMES[split])
        except (OSError, ValueError) as error:
            problems.append(f"LaSOT {name} is left out: {error}")
    if not parts:
        raise MissingFileError(str(root), "usable sequences person-1 to person-20", f"none; {problems[0]}")
    return AnnotatedPeople(f"lasot-{split}", parts, problems)


def _read_sequence(folder: Path, number: int, frames: range) -> list[AnnotatedPerson]:
    boxes_xywh = _read_numbers(folder / "groundtruth.txt", 4)
    hidden = np.zeros(len(boxes_xywh), bool)
    for name in ("full_occlusion.txt", "out_of_view.txt"):
        flags = _read_numbers(folder / name, 1)
        if len(flags) != len(boxes_xywh):
            expected = f"{len(boxes_xywh)} flags, as many as boxes in groundtruth.txt"
            raise InvalidValueError(str(folder / name), expected, str(len(flags)))
        hidden |= flags[:, 0] != 0
    pictures = sum(1 for _ in (folder / "img").glob("*.jpg"))
    if pictures > len(boxes_xywh):
        got = f"{len(boxes_xywh)} boxes for {pictures} images"
        raise InvalidValueError(str(folder / "groundtruth.txt"), "a box per image", got)
    # Where the person is not visible, the published box is 0,0,0,0.
    visible = ~hidden & np.isfinite(boxes_xywh).all(axis=1) & (boxes_xywh[:, 2:] > 0).all(axis=1)
    return [
        AnnotatedPerson(
            name=f"LaSOT {folder.name}, frame {frame + 1}",
            picture=folder / "img" / f"{frame + 1:08d}.jpg",
            size=None,
            box_xyxy=np.concatenate([boxes_xywh[frame, :2], boxes_xywh[frame, :2] + boxes_xywh[frame, 2:]]),
            keypoints=np.zeros((len(KEYPOINTS), 3), np.float32),
            track=number,
            frame=frame,
        )
        for frame in frames
        if frame < len(boxes_xywh) and visible[frame]
    ]


def _read_numbers(path: Path, columns: int) -> NDArray[np.float32]:
    """All numbers of a file, separated by commas and lines, in rows: (N, columns) float32."""
    words = path.read_text(encoding="utf-8-sig").replace(",", " ").split()
    try:
        return np.asarray([float(word) for word in words], np.float32).reshape(-1, columns)
    except ValueError:
        expected = "x,y,w,h in each line" if columns == 4 else "numbers"
        raise InvalidValueError(str(path), expected, f"{len(words)} words, not all of them as expected") from None
