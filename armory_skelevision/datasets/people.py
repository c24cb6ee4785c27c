"""Annotated people in images, as the readers of training data return them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
    """

    name: str
    picture: Path
    size: tuple[int, int] | None
    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    track: int
    frame: int
    area: float | None = None


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
