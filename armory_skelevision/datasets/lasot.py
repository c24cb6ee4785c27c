"""Reads LaSOT's 20 person sequences (Fan et al. 2019) as training data, split as in Das et al. 2022, section 4.2.

The files are those of `layouts.lasot`. A box without area in a frame that is not marked as hidden is a contradiction.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from armory_skelevision.datasets.layouts.lasot import read_annotation
from armory_skelevision.datasets.numbers import place
from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.io import list_folder, printable
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError

SEQUENCES = tuple(f"person-{number}" for number in range(1, 21))
FRAMES = {"train": range(800), "val": range(800, 900)}
"""The frames of each sequence, by split."""


def read_lasot(root: Path, split: str) -> AnnotatedPeople:
    """Read the frames of a split in which the person is visible.

    Args:
        root: Folder with ``person-1`` to ``person-20``.
        split: "train", the first 800 frames of each sequence, or "val", the next 100.

    Raises:
        InvalidValueError: For another split, or one in which nobody is visible.
        MissingFileError: If the folder has no usable sequence.
    """
    if split not in FRAMES:
        raise InvalidValueError("split", " or ".join(map(repr, FRAMES)), repr(split))
    parts: dict[str, list[AnnotatedPerson]] = {}
    problems: list[str] = []
    for number, name in enumerate(SEQUENCES, start=1):
        try:
            parts[name], found = _read_sequence(root / name, number, FRAMES[split])
            problems += found
        except StructuredError as error:
            problems.append(f"LaSOT {name} is left out: {error}")
    if not parts:
        raise MissingFileError(printable(root), "usable sequences person-1 to person-20", f"none; {problems[0]}")
    if not any(parts.values()):
        frames = f"frames {FRAMES[split].start + 1} to {FRAMES[split].stop}"
        raise InvalidValueError(printable(root), f"a visible person in {frames}", "; ".join(["none", *problems[:1]]))
    return AnnotatedPeople(f"lasot-{split}", parts, problems)


def _read_sequence(folder: Path, number: int, frames: range) -> tuple[list[AnnotatedPerson], list[str]]:
    """The visible persons of some frames, and the boxes among them that cannot be used, one line each."""
    boxes_xywh, hidden = read_annotation(folder, folder.parent)
    _check_numbers(folder / "img", len(boxes_xywh))
    people, problems = [], []
    for frame in frames:
        if frame >= len(boxes_xywh) or hidden[frame]:
            continue
        try:
            people.append(_make_person(folder, number, frame, boxes_xywh[frame]))
        except InvalidValueError as error:
            problems.append(f"LaSOT {folder.name}, frame {frame + 1} on img/{_name_image(frame)}: {error}")
    return people, problems


def _check_numbers(folder: Path, boxes: int) -> None:
    """Refuse images without a box: those from 00000000.jpg on would all get the box of the frame before."""
    known = {_name_image(frame) for frame in range(boxes)}
    for path in list_folder(folder):
        if (
            path.suffix.lower() in (".jpg", ".jpeg", ".png")
            and not path.name.startswith(".")
            and path.name not in known
        ):
            expected = f"images {_name_image(0)} to {_name_image(boxes - 1)}, one per box"
            raise InvalidValueError(printable(folder), expected, printable(path.name))


def _name_image(frame: int) -> str:
    return f"{frame + 1:08d}.jpg"


def _make_person(folder: Path, number: int, frame: int, box_xywh: Sequence[float]) -> AnnotatedPerson:
    corner_xy, size_wh = np.asarray(box_xywh, np.float32).reshape(2, 2)
    box_xyxy = np.concatenate([corner_xy, corner_xy + size_wh])
    if not (box_xyxy[2:] > box_xyxy[:2]).all():
        got = f"{box_xywh} in a frame that is flagged as visible"
        raise InvalidValueError(place(folder / "groundtruth.txt", frame + 1), "x,y,w,h of positive area", got)
    return AnnotatedPerson(
        name=f"LaSOT {folder.name}, frame {frame + 1}",
        picture=folder / "img" / _name_image(frame),
        size=None,
        box_xyxy=box_xyxy,
        keypoints=np.zeros((len(KEYPOINTS), 3), np.float32),
        track=number,
        frame=frame,
    )
