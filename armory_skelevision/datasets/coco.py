"""Reads COCO's person keypoints (Lin et al. 2014) as training data, selected as in Das et al. 2022, section 4.2.

Selected are persons that are not marked as a crowd, with more than 5 keypoints and an area above 16 pixels. Annotations
that contradict themselves are listed: they are not left out because one of their values seems to say so.

Convention: COCO measures boxes (x, y, w, h) in pixel edges from the image's corner, as this package does. Its keypoints
are whole numbers, those of pixels, whose centres lie half a pixel further; v is 0 for keypoints that are not annotated,
1 for occluded and 2 for visible ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.coco_tables import CocoTables, find, read_tables
from armory_skelevision.datasets.numbers import as_array
from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson, check_name, split_by_picture
from armory_skelevision.io import printable
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import Count, InvalidValueError, MissingFileError, Range, check_value

FEWEST_KEYPOINTS = 6
MIN_AREA = 16  # square pixels, exclusive
IMAGES_PER_PART = 1000


def read_coco(annotations: Path, images: Path) -> AnnotatedPeople:
    """Read the selected persons of a split.

    Args:
        annotations: Such as ``annotations/person_keypoints_train2017.json``.
        images: Folder of the split's images, such as ``train2017``.

    Raises:
        MissingFileError: If the file or the folder is missing.
        InvalidValueError: If the file is not one of person keypoints, if ids in it are not unique, or if no person in
            it can be used.
    """
    if not os.path.isdir(images):
        expected = f"the folder of images that {printable(annotations.name)} annotates"
        raise MissingFileError(printable(images), expected, "no such folder")
    tables = read_tables(annotations)
    people, problems = [], []
    for number, annotation in enumerate(tables.annotations):
        try:
            person = _read_person(annotation, tables, images)
        except InvalidValueError as error:
            problems.append(f"{printable(annotations.name)}, {_describe(number, annotation, tables)}: {error}")
        else:
            people += [person] if person is not None else []
    if not people:
        got = f"none; {len(problems)} cannot be read" + (f", the first: {problems[0]}" if problems else "")
        raise InvalidValueError(printable(annotations), "persons with more than 5 keypoints", got)
    people.sort(key=lambda person: (person.picture.name, person.track))
    return AnnotatedPeople(f"coco-{printable(annotations.stem)}", split_by_picture(people, IMAGES_PER_PART), problems)


def _read_person(annotation: Mapping[str, Any], tables: CocoTables, images: Path) -> AnnotatedPerson | None:
    """The person of an annotation, if it is one of those that are selected."""
    if find(tables.categories, annotation.get("category_id")) is None:
        raise InvalidValueError("category_id", "a category of the file", f"{annotation.get('category_id')!r:.80}")
    if annotation["category_id"] != tables.person:
        return None
    check_value("id", annotation.get("id"), int)
    check_value("iscrowd", annotation.get("iscrowd"), Annotated[int, Range(0, 1)])
    picture = find(tables.images, annotation.get("image_id"))
    if picture is None:
        raise InvalidValueError("image_id", "an image of the file", f"{annotation.get('image_id')!r:.80}")
    if annotation["iscrowd"]:
        return None
    keypoints = _read_keypoints(annotation)
    labelled = keypoints[:, 2] > 0
    if labelled.sum() < FEWEST_KEYPOINTS:
        return None
    box_xywh = as_array("bbox", annotation.get("bbox"), (4,)).astype(np.float32)
    box_xyxy = np.concatenate([box_xywh[:2], box_xywh[:2] + box_xywh[2:]])
    if not (box_xyxy[2:] > box_xyxy[:2]).all():
        raise InvalidValueError("bbox", "x y w h of positive area", str(annotation["bbox"]))
    area = _read_area(annotation.get("area"), float(np.prod(box_xywh[2:])))
    if area <= MIN_AREA:
        return None
    keypoints[labelled, :2] += 0.5
    return AnnotatedPerson(
        name=f"COCO annotation {annotation['id']}",
        picture=images / check_name("file_name", picture.get("file_name")),
        size=_read_size(picture),
        box_xyxy=box_xyxy,
        keypoints=keypoints,
        track=annotation["id"],
        frame=0,
        area=area,
    )


def _read_keypoints(annotation: Mapping[str, Any]) -> NDArray[np.float32]:
    """The keypoints (17, 3), as many of them labelled as the annotation says."""
    keypoints = as_array("keypoints", annotation.get("keypoints"), (3 * len(KEYPOINTS),)).reshape(-1, 3)
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise InvalidValueError("keypoints", "visibilities 0, 1 or 2", str(sorted(set(keypoints[:, 2].tolist()))))
    labelled, said = int((keypoints[:, 2] > 0).sum()), annotation.get("num_keypoints")
    if said != labelled or isinstance(said, bool):
        raise InvalidValueError("num_keypoints", f"{labelled} as labelled", f"{said!r:.80}")
    return keypoints.astype(np.float32)


def _read_area(area: Any, box_area: float) -> float:
    check_value("area", area, float)
    # A part of the box, up to rounding. No person in whom keypoints were labelled is smaller than a pixel.
    limit = 1.05 * box_area + 1
    if not 1 <= area <= limit:
        raise InvalidValueError("area", f"1 to {limit:.0f} pixels, since the box has {box_area:.0f}", f"{area}")
    return float(area)


def _read_size(picture: Mapping[str, Any]) -> tuple[int, int]:
    for key in ("width", "height"):
        check_value(key, picture.get(key), Count)
    return picture["width"], picture["height"]


def _describe(number: int, annotation: Mapping[str, Any], tables: CocoTables) -> str:
    """Which annotation this is: its id, or else its place in the list, and its picture."""
    name = f"annotation {annotation['id']!r:.40}" if annotation.get("id") is not None else f"annotations[{number}]"
    picture = find(tables.images, annotation.get("image_id")) or {}
    return f"{name} on {printable(str(picture['file_name']))}" if "file_name" in picture else name
