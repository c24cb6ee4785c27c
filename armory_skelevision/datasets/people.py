"""People in pictures, as the readers of training data find them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEYPOINTS = 17


class Person(NamedTuple):
    """One person in one picture.

    Attributes:
        name: What messages call it.
        picture: The picture's file.
        size: Width and height that the picture must have; None where nobody says.
        box_xyxy: (4,) float32, pixel edges counted from 0, of some area; it may reach beyond the picture.
        keypoints: (17, 3) float32: x, y in pixel edges, v as in COCO; v = 0 for what is not annotated.
        track: Number of the person within the data set.
        frame: Number of the frame within the person's video.
        area: Of the person in square pixels; None where nobody says.
    """

    name: str
    picture: Path
    size: tuple[int, int] | None
    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    track: int
    frame: int
    area: float | None = None


class People(NamedTuple):
    """What is chosen of a data set.

    Attributes:
        name: Of the data set and its split, fit for file names.
        parts: The people in parts of some hundreds, by the part's name; sorted by picture, track and frame.
        faults: What cannot be used because of its annotation, one sentence each.
    """

    name: str
    parts: dict[str, list[Person]]
    faults: list[str]
