"""Reads COCO's person keypoints (Lin et al. 2014) as training data, selected as in Das et al. 2022, section 4.2.

Selected are persons that are not marked as a crowd, with more than 5 keypoints and an area above 16 pixels.

Convention: COCO measures boxes (x, y, w, h) in pixel edges from the image's corner, as this package does. Its keypoints
are whole numbers, those of pixels, whose centres lie half a pixel further; v is 0 for keypoints that are not annotated,
1 for occluded and 2 for visible ones.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, MissingFileError

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
        InvalidValueError: If the file is not one of person keypoints, or no person in it can be used.
    """
    if not images.is_dir():
        raise MissingFileError(str(images), f"the folder of images that {annotations.name} annotates", "no such folder")
    pictures, selected = _select(annotations)
    people, problems = [], []
    for annotation in selected:
        try:
            people.append(_read_person(annotation, pictures, images))
        except (KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else f"cannot be read ({error!r})"
            problems.append(f"{annotations.name}, annotation {annotation.get('id')}: {reason}")
    if not people:
        expected = "persons with more than 5 keypoints"
        raise InvalidValueError(str(annotations), expected, f"none; {len(problems)} cannot be read")
    people.sort(key=lambda person: (person.picture.name, person.track))
    return AnnotatedPeople(f"coco-{annotations.stem}", _split(people), problems)


def _select(annotations: Path) -> tuple[Mapping[int, Any], list[dict[str, Any]]]:
    """All images by number, and the annotations of the selected persons."""
    from pycocotools.coco import COCO

    if not annotations.is_file():
        raise MissingFileError(str(annotations), "COCO's person_keypoints_….json", "no such file")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
            coco = COCO(str(annotations))
        category = coco.getCatIds(catNms=["person"])
        if not category:  # without a category COCO would select all annotations
            raise ValueError("no category person")
        found = coco.loadAnns(coco.getAnnIds(catIds=category, areaRng=[MIN_AREA, math.inf], iscrowd=False))
        return coco.imgs, [annotation for annotation in found if annotation["num_keypoints"] >= FEWEST_KEYPOINTS]
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise InvalidValueError(str(annotations), "a file of COCO's person keypoints", str(reason)) from error


def _read_person(annotation: Mapping[str, Any], pictures: Mapping[int, Any], images: Path) -> AnnotatedPerson:
    picture = pictures.get(annotation["image_id"])
    if picture is None:
        raise InvalidValueError("image_id", "an image of the file", str(annotation["image_id"]))
    box_xywh = np.asarray(annotation["bbox"], np.float32)
    if box_xywh.shape != (4,) or not np.isfinite(box_xywh).all() or (box_xywh[2:] <= 0).any():
        raise InvalidValueError("bbox", "x y w h of positive area", str(annotation["bbox"]))
    numbers = np.asarray(annotation["keypoints"], np.float32)
    if numbers.shape != (3 * len(KEYPOINTS),) or not np.isfinite(numbers).all():
        raise InvalidValueError("keypoints", f"{3 * len(KEYPOINTS)} finite numbers", f"{numbers.size} numbers")
    keypoints = numbers.reshape(len(KEYPOINTS), 3)
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise InvalidValueError("keypoints", "visibilities 0, 1 or 2", str(sorted(set(keypoints[:, 2].tolist()))))
    labelled = keypoints[:, 2] > 0
    if labelled.sum() != annotation["num_keypoints"]:
        raise InvalidValueError("num_keypoints", f"{labelled.sum()} as labelled", str(annotation["num_keypoints"]))
    keypoints[labelled, :2] += 0.5
    return AnnotatedPerson(
        name=f"COCO annotation {annotation['id']}",
        picture=images / picture["file_name"],
        size=(int(picture["width"]), int(picture["height"])),
        box_xyxy=np.concatenate([box_xywh[:2], box_xywh[:2] + box_xywh[2:]]),
        keypoints=keypoints,
        track=int(annotation["id"]),
        frame=0,
        area=float(annotation["area"]),
    )


def _split(people: list[AnnotatedPerson]) -> dict[str, list[AnnotatedPerson]]:
    parts: dict[str, list[AnnotatedPerson]] = {}
    pictures: dict[Path, int] = {}
    for person in people:
        number = pictures.setdefault(person.picture, len(pictures))
        parts.setdefault(f"{number // IMAGES_PER_PART:05d}", []).append(person)
    return parts
