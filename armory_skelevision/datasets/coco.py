"""Reads COCO's person keypoints (Lin et al. 2014) as training data, by the choice of Das et al. 2022, section 4.2.

Chosen are persons that are no crowd, with more than 5 keypoints and an area above 16 pixels.

Convention: COCO measures boxes (x, y, w, h) from the picture's corner in pixel edges, as we do. Its keypoints are whole
numbers, those of pixels, whose middles lie half a pixel further; v is 0 for keypoints that are not annotated, 1 for
hidden and 2 for visible ones.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision.datasets.people import KEYPOINTS, People, Person

FEWEST_KEYPOINTS = 6
LEAST_AREA = 16  # px, exclusive
PICTURES_IN_A_PART = 1000


def read_coco(annotations: Path, images: Path) -> People:
    """The chosen persons of a split.

    Args:
        annotations: Such as ``annotations/person_keypoints_train2017.json``.
        images: Folder of the split's pictures, such as ``train2017``.

    Raises:
        OSError: The file or the folder is missing.
        ValueError: The file is not one of person keypoints, or chooses nobody.
    """
    if not images.is_dir():
        raise FileNotFoundError(f"no folder {images}: expected the pictures that {annotations.name} is about")
    pictures, chosen = _choose(annotations)
    people, faults = [], []
    for annotation in chosen:
        try:
            people.append(_read_person(annotation, pictures, images))
        except (KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else f"cannot be read ({error!r})"
            faults.append(f"{annotations.name}, annotation {annotation.get('id')}: {reason}")
    if not people:
        raise ValueError(f"{annotations} has no person with more than 5 keypoints; {len(faults)} cannot be read")
    people.sort(key=lambda person: (person.picture.name, person.track))
    return People(f"coco-{annotations.stem}", _split(people), faults)


def _choose(annotations: Path) -> tuple[Mapping[int, Any], list[dict[str, Any]]]:
    """All pictures by number, and the annotations of the persons chosen."""
    from pycocotools.coco import COCO

    if not annotations.is_file():
        raise FileNotFoundError(f"no file {annotations}: expected COCO's person_keypoints_….json")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it greets
            coco = COCO(str(annotations))
        category = coco.getCatIds(catNms=["person"])
        if not category:  # COCO's own choice by no category is the choice of all
            raise ValueError("there is no category person")
        found = coco.loadAnns(coco.getAnnIds(catIds=category, areaRng=[LEAST_AREA, math.inf], iscrowd=False))
        return coco.imgs, [annotation for annotation in found if annotation["num_keypoints"] >= FEWEST_KEYPOINTS]
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{annotations} is not a file of COCO's person keypoints: {reason}") from error


def _read_person(annotation: Mapping[str, Any], pictures: Mapping[int, Any], images: Path) -> Person:
    if annotation["image_id"] not in pictures:
        raise ValueError(f"there is no picture {annotation['image_id']}")
    picture = pictures[annotation["image_id"]]
    box = np.asarray(annotation["bbox"], np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any():
        raise ValueError(f"expected a bbox x y w h of some area, got {annotation['bbox']}")
    numbers = np.asarray(annotation["keypoints"], np.float32)
    if numbers.shape != (3 * KEYPOINTS,) or not np.isfinite(numbers).all():
        raise ValueError(f"expected {3 * KEYPOINTS} numbers for the keypoints, got {numbers.size}")
    keypoints = numbers.reshape(KEYPOINTS, 3)
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise ValueError(f"expected visibilities 0, 1 or 2, got {sorted(set(keypoints[:, 2].tolist()))}")
    labelled = keypoints[:, 2] > 0
    if labelled.sum() != annotation["num_keypoints"]:
        raise ValueError(f"it says {annotation['num_keypoints']} keypoints, but {labelled.sum()} are labelled")
    keypoints[labelled, :2] += 0.5
    return Person(
        name=f"COCO annotation {annotation['id']}",
        picture=images / picture["file_name"],
        size=(int(picture["width"]), int(picture["height"])),
        box_xyxy=np.concatenate([box[:2], box[:2] + box[2:]]),
        keypoints=keypoints,
        track=int(annotation["id"]),
        frame=0,
        area=float(annotation["area"]),
    )


def _split(people: list[Person]) -> dict[str, list[Person]]:
    parts: dict[str, list[Person]] = {}
    pictures: dict[Path, int] = {}
    for person in people:
        number = pictures.setdefault(person.picture, len(pictures))
        parts.setdefault(f"{number // PICTURES_IN_A_PART:05d}", []).append(person)
    return parts
