"""Reads people from Open Images' own files (Kuznetsova et al. 2020): boxes as CSV, and a folder of pictures.

``oidv6-train-annotations-bbox.csv`` and the like have a line for each box, with the corners as shares of the picture's
width and height. Taken are boxes of the classes below, but none around a group and none of a drawing or statue. Lines
of pictures that are not in the folder are passed over: few have all nine million.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson, split_by_picture
from armory_skelevision.datasets.picture_boxes import MIN_HEIGHT, PICTURES_PER_PART
from armory_skelevision.io import list_folder, printable, progress
from armory_skelevision.io.images import read_size
from armory_skelevision.io.reading import open_regular
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, StructuredError

CLASSES = {
    "/m/01g317": "Person",
    "/m/04yx4": "Man",
    "/m/03bt1vf": "Woman",
    "/m/01bl7v": "Boy",
    "/m/05r655": "Girl",
}
"""The classes that are whole people, by their identifiers."""
COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf", "IsDepiction")
MAX_BYTES = 8 * 2**30
"""Size of the CSV file; the training set's has 2.3 GB."""
SAME = 1e-3  # corners this close, as shares of the picture, are those of one box under two classes


def read_open_images(boxes: Path, images: Path) -> AnnotatedPeople:
    """Read the people in those pictures that are in a folder.

    Args:
        boxes: The CSV file.
        images: Folder of the pictures, ``<ImageID>.jpg``.

    Raises:
        MissingFileError: If the file or the folder is missing.
        InvalidValueError: If the file is no CSV or lacks a column, or if there is nobody in the pictures.
    """
    pictures = {path.stem: path for path in list_folder(images) if path.suffix.lower() in (".jpg", ".jpeg")}
    people: list[AnnotatedPerson] = []
    problems: list[str] = []
    by_picture: dict[str, list[list[float]]] = {}
    for place, line in _read_lines(boxes, pictures):
        try:
            corners = _read_corners(line)
        except InvalidValueError as error:
            problems.append(f"{place}: {error}")
        else:
            known = by_picture.setdefault(line["ImageID"], [])
            if not any(np.allclose(corners, other, atol=SAME) for other in known):
                known.append(corners)
    for name, found in progress(sorted(by_picture.items()), f"reading {images.name}", unit="picture"):
        try:
            people += _make_people(pictures[name], np.array(found), len(people))
        except StructuredError as error:
            problems.append(f"{len(found)} people on {error}")
    if not people:
        got = f"none; {problems[0]}" if problems else "none"
        raise InvalidValueError(printable(boxes), f"people in the pictures of {printable(images)}", got)
    return AnnotatedPeople(
        f"open-images-{printable(boxes.stem)}", split_by_picture(people, PICTURES_PER_PART), problems
    )


def _make_people(picture: Path, corners: np.ndarray, first_track: int) -> list[AnnotatedPerson]:
    width, height = read_size(picture)
    boxes_xyxy = (corners * (width, height, width, height)).astype(np.float32)
    return [
        AnnotatedPerson(
            name=f"Open Images, box {number}",
            picture=picture,
            size=None,
            box_xyxy=box_xyxy,
            keypoints=np.zeros((len(KEYPOINTS), 3), np.float32),
            track=first_track + number,
            frame=0,
        )
        for number, box_xyxy in enumerate(boxes_xyxy)
        if box_xyxy[3] - box_xyxy[1] >= MIN_HEIGHT
    ]


def _read_lines(path: Path, pictures: Container[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The file and number, and the content, of each line about a person in one of the pictures."""
    with open_regular(path, MAX_BYTES) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        lines = csv.DictReader(text, restval="")
        try:
            missing = [column for column in COLUMNS if column not in (lines.fieldnames or ())]
            if missing:
                expected = f"the columns {', '.join(COLUMNS)}"
                raise InvalidValueError(printable(path), expected, f"none called {', '.join(missing)}")
            for line in progress(lines, f"reading {path.name}", unit="line"):
                single = line["IsGroupOf"] != "1" and line["IsDepiction"] != "1"
                if line["ImageID"] in pictures and line["LabelName"] in CLASSES and single:
                    yield f"{printable(path.name)}:{lines.line_num}", line
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidValueError(f"{printable(path)}:{lines.line_num}", "a line of CSV", str(error)[:80]) from None


def _read_corners(line: dict[str, str]) -> list[float]:
    """The corners x1, y1, x2, y2 as shares of the picture's size."""
    columns = ("XMin", "YMin", "XMax", "YMax")
    try:
        x1, y1, x2, y2 = (float(line[column]) for column in columns)
    except ValueError:
        got = str([line[column] for column in columns])[:80]
        raise InvalidValueError("XMin, YMin, XMax, YMax", "numbers", got) from None
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise InvalidValueError("XMin, YMin, XMax, YMax", "0 <= min < max <= 1", str([x1, y1, x2, y2]))
    return [x1, y1, x2, y2]
