"""Makes a store of crops, part by part. What is finished stays; what cannot be used is listed, refused or left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.io import atomic_write
from armory_skelevision.training.data.crops.cutting import JPEG_QUALITY, Crop, cut_crop, read_picture
from armory_skelevision.training.data.crops.store import SUFFIX, open_part, write_part


class Made(NamedTuple):
    """What came of it.

    Attributes:
        crops: How many crops of these people the store holds now.
        faults: What is left out and why, one sentence each.
    """

    crops: int
    faults: list[str]


def make_crops(people: AnnotatedPeople, out: Path, skip_faulty: bool = False) -> Made:
    """Cut crops of people into a store. Goes on where it was stopped.

    All that can be cut is cut before anything is refused, so that one run finds all faults and a second one, once they
    are mended, has little left to do. They are listed in ``<people.name>-faults.txt`` in the store.

    Args:
        people: Who.
        out: Folder of the store; made if absent. It may hold crops of other data sets already.
        skip_faulty: Leave out what cannot be used instead of refusing it. A later run without this tries it again.

    Raises:
        OSError: The store cannot be written.
        ValueError: Something cannot be used, or the store has parts of that name that were cut from other people.
    """
    out.mkdir(parents=True, exist_ok=True)
    faults, crops = list(people.problems), 0
    total = sum(len(persons) for persons in people.parts.values())
    with tqdm(total=total, unit="crop", desc=people.name, disable=None, leave=False) as bar:
        for key, persons in people.parts.items():
            path = out / f"{people.name}-{key}{SUFFIX}"
            found = _faults_of_finished(path, persons)
            if found is None or (found and not skip_faulty):
                made, found = _cut(persons, bar)
                if not found or skip_faulty:
                    write_part(path, made, people.name, _hash(persons), found)
            else:
                bar.update(len(persons))
            faults += found
            crops += len(persons) - len(found)
    listed = _list_faults(out / f"{people.name}-faults.txt", faults)
    if faults and not skip_faulty:
        raise ValueError(
            f"{people.name}: {len(faults)} cannot be used, listed in {listed}; {crops} can. The first: "
            f"{faults[0]}. Mend them and run the command again, or leave them out with --skip-invalid"
        )
    return Made(crops, faults)


def _cut(persons: Sequence[AnnotatedPerson], bar: tqdm) -> tuple[list[Crop], list[str]]:
    """Crops sorted by track and frame, and what went wrong with the others, a sentence for each."""
    crops: list[Crop] = []
    faults: list[str] = []
    for path, group in groupby(persons, key=lambda person: person.picture):
        here = list(group)
        try:
            picture = read_picture(path, here[0].size)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            faults += [f"{person.name} on {path}: {reason}" for person in here]
        else:
            for person in here:
                try:
                    crops.append(cut_crop(picture, person))
                except ValueError as error:
                    faults.append(f"{person.name} on {path}: {error}")
        bar.update(len(here))
    return sorted(crops, key=lambda crop: (crop.track, crop.frame)), faults


def _faults_of_finished(path: Path, persons: Sequence[AnnotatedPerson]) -> list[str] | None:
    """What is left out of a part that is there already; None if it is not."""
    if not path.is_file():
        return None
    _, header = open_part(path)
    if header["people"] != _hash(persons):
        raise ValueError(f"{path} was cut from other people or in another way: give another --out, or delete it")
    found: list[str] = json.loads(header["faults"])
    return found


def _hash(persons: Sequence[AnnotatedPerson]) -> str:
    """Of all that decides what is cut, save where the pictures lie."""
    lines = [f"JPEG {JPEG_QUALITY}"]
    for person in persons:
        numbers = (person.size, person.box_xyxy.tolist(), person.keypoints.tolist(), person.track, person.frame)
        lines.append(f"{person.picture.name} {numbers}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _list_faults(path: Path, faults: Sequence[str]) -> Path:
    if faults:
        atomic_write(path, "".join(f"{fault}\n" for fault in faults).encode())
    else:
        path.unlink(missing_ok=True)
    return path
