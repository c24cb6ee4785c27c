"""Annotated people in images, as the readers of training data return them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.validation import InvalidValueError


class AnnotatedPerson(NamedTuple):
    """One person in one image.

    Attributes:
        name: Name for messages.
        picture: The image's file.
        size: Width and height that the image must have, pixels; None if unknown.
        box_xyxy: (4,) float32, pixel edges counted from 0, of positive area; it may reach beyond the image.
        keypoints: (17, 3) float32: x, y in pixel edges, v as in COCO; v = 0 for keypoints that are not annotated.
        track: Number of the person within the data set.
        frame: Number of the frame within the person's video.
        area: Area of the person, square pixels; None if unknown.
        stretch: Factor for the width of the picture in the file, which undoes that of an export; box and keypoints are
            in pixels of the result.
        teacher: The model that made the annotation; "" for people's.
    """

    name: str
    picture: Path
    size: tuple[int, int] | None
    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    track: int
    frame: int
    area: float | None = None
    stretch: float = 1.0
    teacher: str = ""


class AnnotatedPeople(NamedTuple):
    """The people selected from a data set.

    Attributes:
        name: Name of the data set and its split, usable in file names.
        parts: The people in parts of some hundreds, by the part's name; sorted by image, track and frame.
        problems: People left out because of their annotation, and why: one sentence each.
    """

    name: str
    parts: dict[str, list[AnnotatedPerson]]
    problems: list[str]


def split_by_picture(people: Sequence[AnnotatedPerson], pictures: int) -> dict[str, list[AnnotatedPerson]]:
    """People, sorted by picture, in parts of at most so many pictures, which are named by numbers."""
    parts: dict[str, list[AnnotatedPerson]] = {}
    numbers: dict[Path, int] = {}
    for person in people:
        number = numbers.setdefault(person.picture, len(numbers))
        parts.setdefault(f"{number // pictures:05d}", []).append(person)
    return parts


def check_name(key: str, name: Any) -> str:
    """The name of a picture's file; refused is one that leads out of the folder of images (`InvalidValueError`)."""
    # "/etc/passwd" or "../a.jpg" would
    if not isinstance(name, str) or not name or "\0" in name or os.path.isabs(name) or ".." in Path(name).parts:
        raise InvalidValueError(key, "the name of a file in the folder of images", repr(name)[:80])
    return name


def check_inside(person: AnnotatedPerson, width: int, height: int) -> None:
    """Refuse a person who is not in the image, of this size in pixels: the annotation is then that of another image.

    Raises:
        InvalidValueError: If more than half of the box lies outside, or a labelled keypoint does by more than a pixel.
    """
    inside = f"positions inside the {width} x {height} pixels"
    corners_xyxy = person.box_xyxy.astype(np.float64)
    if _area(corners_xyxy.clip(0, (width, height, width, height))) < 0.5 * _area(corners_xyxy):
        raise InvalidValueError("box_xyxy", inside, str(corners_xyxy.round(1).tolist()))
    labelled_xy = person.keypoints[person.keypoints[:, 2] > 0, :2]
    if ((labelled_xy < -1) | (labelled_xy > (width + 1, height + 1))).any():
        raise InvalidValueError("keypoints", inside, "some outside")


def _area(box_xyxy: NDArray[np.float64]) -> float:
    return float(np.prod(box_xyxy[2:] - box_xyxy[:2]))
