"""Reads pictures with boxes of people from a JSON file that is easily written by hand or by a script.

The file is a list with an entry for each picture::

    {"file": "a.jpg", "boxes_xywh": [[10, 20, 30, 60]]}

``file`` is relative to the folder of images, ``boxes_xywh`` are x, y, width and height in pixels, counted from the
picture's corner. An entry may also have, with one item per box, ``confirmed`` (0 for boxes to leave out), ``keypoints``
(17 times x, y, confidence in [0, 1], in COCO's order) and ``tracks`` (numbers of people, each of whom is in several
pictures of the file), and ``frame`` (the picture's number in its video) and ``teacher`` (the model that made the
annotation).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.aspects import estimate_aspect
from armory_skelevision.datasets.numbers import as_array, duplicates, name_some
from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson, check_name, split_by_picture
from armory_skelevision.io import printable, progress, read_json
from armory_skelevision.io.images import read_size
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import (
    InvalidValueError,
    MissingFileError,
    StructuredError,
    WholeNumber,
    check_known,
    check_value,
)

KEYS = ("file", "boxes_xywh", "confirmed", "keypoints", "tracks", "frame", "teacher")
PICTURES_PER_PART = 1000
MIN_HEIGHT = 20
"""Height in pixels below which people are left out: a template of them would be a blur."""
OWN_TRACKS = 1_000_001
"""People without a track of the file get numbers from this on, which a file cannot have."""
MIN_CONFIDENCE = 0.4
"""Confidence below which a keypoint is left out."""


def read_picture_boxes(boxes: Path, images: Path, name: str, stretched: bool = False) -> AnnotatedPeople:
    """Read the people of a file of boxes.

    Args:
        boxes: The JSON file.
        images: Folder of the pictures.
        name: Name of the data set, for the store and the licence of weights; usable in file names.
        stretched: Whether all pictures were squeezed to squares, which is then undone; see `estimate_aspect`.

    Raises:
        MissingFileError: If the file or the folder is missing.
        InvalidValueError: If the file is no such list, if it names a picture twice, or if nobody in it can be used.
    """
    if not os.path.isdir(images):
        raise MissingFileError(printable(images), "the folder of images", "no such folder")
    entries = read_json(boxes)
    if not isinstance(entries, list):
        raise InvalidValueError(printable(boxes), 'a list of {"file": …, "boxes_xywh": …}', type(entries).__name__)
    names = [entry["file"] for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("file"), str)]
    if twice := duplicates([os.path.normpath(each) for each in names]):
        raise InvalidValueError(printable(boxes), "one entry per picture", f"several for {name_some(twice)}")
    people: list[AnnotatedPerson] = []
    problems: list[str] = []
    for number, entry in enumerate(progress(entries, f"reading {boxes.name}", unit="picture")):
        try:
            people += _read_entry(entry, images, OWN_TRACKS * (number + 1), stretched)
        except StructuredError as error:
            shown = entry.get("file", "") if isinstance(entry, Mapping) else ""
            problems.append(f"{printable(boxes.name)}, entry {number} {printable(str(shown))}: {error}")
    if not people:
        first = f", the first problem: {problems[0]}" if problems else ""
        raise InvalidValueError(printable(boxes), f"people of at least {MIN_HEIGHT} pixels", f"none{first}")
    people.sort(key=lambda person: (str(person.picture), person.track))
    return AnnotatedPeople(name, split_by_picture(people, PICTURES_PER_PART), problems)


def _read_entry(entry: Any, images: Path, first_track: int, stretched: bool) -> list[AnnotatedPerson]:
    """The people of a picture who are confirmed and large enough."""
    if not isinstance(entry, Mapping):
        raise InvalidValueError("entry", "an object", f"{entry!r:.80}")
    check_known("", entry, KEYS)
    picture = images / check_name("file", entry.get("file"))
    count = len(entry["boxes_xywh"]) if isinstance(entry.get("boxes_xywh"), list) else 0
    boxes_xywh = as_array("boxes_xywh", entry.get("boxes_xywh"), (count, 4))
    if (boxes_xywh[:, 2:] <= 0).any():
        raise InvalidValueError("boxes_xywh", "widths and heights above 0", str(boxes_xywh[:, 2:].min()))
    keypoints = _read_keypoints(entry.get("keypoints"), count)
    tracks = _read_whole_numbers("tracks", entry.get("tracks"), count, range(first_track, first_track + count))
    confirmed = _read_whole_numbers("confirmed", entry.get("confirmed"), count, [1] * count)
    check_value("frame", entry.get("frame", 0), WholeNumber)
    check_value("teacher", entry.get("teacher", ""), str)
    chosen = np.flatnonzero((confirmed > 0) & (boxes_xywh[:, 3] >= MIN_HEIGHT))
    stretch = _find_stretch(picture, boxes_xywh[chosen, 2:]) if stretched and len(chosen) else 1.0
    boxes_xywh, keypoints = boxes_xywh * (stretch, 1, stretch, 1), keypoints * (stretch, 1, 1)
    return [
        AnnotatedPerson(
            name=f"box {number}",
            picture=picture,
            size=None,
            box_xyxy=np.concatenate([boxes_xywh[number, :2], boxes_xywh[number].reshape(2, 2).sum(axis=0)]).astype(
                np.float32
            ),
            keypoints=keypoints[number].astype(np.float32),
            track=int(tracks[number]),
            frame=entry.get("frame", 0),
            stretch=stretch,
            teacher=entry.get("teacher", ""),
        )
        for number in chosen
    ]


def _find_stretch(picture: Path, sizes_wh: NDArray[np.float64]) -> float:
    width, height = read_size(picture)
    if width != height:
        raise InvalidValueError(printable(picture), "a picture stretched to a square", f"{width}×{height} pixels")
    return estimate_aspect(sizes_wh)


def _read_keypoints(values: Any, count: int) -> NDArray[np.float64]:
    """Keypoints (count, 17, 3): x, y, and 2 where they are confident, 0 elsewhere."""
    if values is None:
        return np.zeros((count, len(KEYPOINTS), 3))
    keypoints = as_array("keypoints", values, (count, len(KEYPOINTS), 3))
    if not ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all():
        raise InvalidValueError("keypoints", "confidences in [0, 1]", str(keypoints[..., 2].max()))
    return np.where(keypoints[..., 2:] >= MIN_CONFIDENCE, keypoints * (1, 1, 0) + (0, 0, 2), 0)


def _read_whole_numbers(key: str, values: Any, count: int, default: Any) -> NDArray[np.int64]:
    """One whole number per box."""
    if values is None:
        return np.array(default, np.int64)
    numbers = as_array(key, values, (count,))
    if (numbers < 0).any() or (numbers % 1).any():
        raise InvalidValueError(key, "whole numbers of at least 0", str(numbers.tolist())[:80])
    return numbers.astype(np.int64)
