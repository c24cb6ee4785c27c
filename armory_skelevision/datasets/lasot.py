"""Reads LaSOT's 20 sequences of persons (Fan et al. 2019) as training data, divided as in Das et al. 2022, section 4.2.

Layout, as published: ``person-N/img/00000001.jpg`` …, ``groundtruth.txt`` with a line ``x,y,w,h`` for each picture, and
``full_occlusion.txt`` and ``out_of_view.txt`` with one flag for each, separated by commas.

Convention: boxes are taken as pixel edges counted from 0, as trackers' toolkits read them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.people import KEYPOINTS, People, Person

SEQUENCES = 20
FRAMES = {"train": range(800), "val": range(800, 900)}
"""Which frames of each sequence belong to a split."""


def read_lasot(root: Path, split: str) -> People:
    """The frames of a split in which the person is in sight.

    Args:
        root: The folder with ``person-1`` to ``person-20``.
        split: "train", the first 800 frames of each sequence, or "val", the next 100.

    Raises:
        FileNotFoundError: The folder holds no sequence.
        ValueError: For another split.
    """
    if split not in FRAMES:
        raise ValueError(f"split: expected one of {list(FRAMES)}, got {split!r}")
    parts: dict[str, list[Person]] = {}
    faults = []
    for number in range(1, SEQUENCES + 1):
        folder = root / f"person-{number}"
        try:
            parts[folder.name] = _read_sequence(folder, number, FRAMES[split])
        except (OSError, ValueError) as error:
            faults.append(f"LaSOT {folder.name} is left out: {error}")
    if not parts:
        raise FileNotFoundError(f"{root} holds no usable sequence person-1 to person-{SEQUENCES}; {faults[0]}")
    return People(f"lasot-{split}", parts, faults)


def _read_sequence(folder: Path, number: int, frames: range) -> list[Person]:
    boxes = _read_numbers(folder / "groundtruth.txt", 4)
    hidden = np.zeros(len(boxes), bool)
    for name in ("full_occlusion.txt", "out_of_view.txt"):
        flags = _read_numbers(folder / name, 1)
        if len(flags) != len(boxes):
            raise ValueError(f"{folder / name} has {len(flags)} flags for {len(boxes)} boxes in groundtruth.txt")
        hidden |= flags[:, 0] != 0
    pictures = sum(1 for _ in (folder / "img").glob("*.jpg"))
    if pictures > len(boxes):
        raise ValueError(f"{folder} has {pictures} pictures, but {len(boxes)} boxes in groundtruth.txt")
    # Where there is nobody to see, the published box is 0,0,0,0.
    seen = ~hidden & np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    return [
        Person(
            name=f"LaSOT {folder.name}, frame {frame + 1}",
            picture=folder / "img" / f"{frame + 1:08d}.jpg",
            size=None,
            box_xyxy=np.concatenate([boxes[frame, :2], boxes[frame, :2] + boxes[frame, 2:]]),
            keypoints=np.zeros((KEYPOINTS, 3), np.float32),
            track=number,
            frame=frame,
        )
        for frame in frames
        if frame < len(boxes) and seen[frame]
    ]


def _read_numbers(path: Path, columns: int) -> NDArray[np.float32]:
    """All numbers of a file, separated by commas and lines, in rows: (N, columns) float32."""
    words = path.read_text(encoding="utf-8-sig").replace(",", " ").split()
    try:
        return np.asarray([float(word) for word in words], np.float32).reshape(-1, columns)
    except ValueError:
        what = "x,y,w,h in each line" if columns == 4 else "numbers"
        raise ValueError(f"{path}: expected {what}, got {len(words)} words that are not that") from None
