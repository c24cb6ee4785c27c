"""Builds a store of crops part by part. Finished parts are kept; what cannot be used is listed, refused or skipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.io import atomic_write, hash_file, printable, progress
from armory_skelevision.io.images import read_image
from armory_skelevision.io.reading import MAX_BYTES
from armory_skelevision.training.data.real_crops.cropping import JPEG_QUALITY, Crop, cut_crop
from armory_skelevision.training.data.real_crops.store import SUFFIX, open_part, write_part
from armory_skelevision.validation import InvalidValueError, StructuredError


class BuildSummary(NamedTuple):
    """The outcome of `build_crops`."""

    crops: int
    """Number of crops of these people in the store."""
    problems: list[str]
    """What was left out and why, one line each."""


def build_crops(people: AnnotatedPeople, out: Path, skip_invalid: bool = False) -> BuildSummary:
    """Cut crops of people into a store. Resumes after an interruption; a part whose pictures have changed is cut again.

    All usable crops are cut before any is refused, so that one run finds all problems, and a second one, after they are
    fixed, has little left to do. The problems are listed in ``<people.name>-problems.txt`` in the store.

    Args:
        people: The people of a data set.
        out: Folder of the store; made if absent. It may already hold crops of other data sets.
        skip_invalid: Leave out unusable pictures and annotations instead of refusing them. A later run without this
            tries them again.

    Raises:
        OSError: If the store cannot be written.
        InvalidValueError: If pictures or annotations cannot be used, or the store has parts of that name that were cut
            from other people.
    """
    out.mkdir(parents=True, exist_ok=True)
    problems, crops = list(people.problems), 0
    total = sum(len(persons) for persons in people.parts.values())
    with progress(total=total, unit="crop", desc=people.name) as bar:
        for key, persons in people.parts.items():
            path = out / f"{people.name}-{key}{SUFFIX}"
            pictures = _hash_pictures(persons)
            found = _problems_of_finished(path, persons, pictures)
            if found is None or (found and not skip_invalid):
                made, found = _cut(persons, bar)
                if not found or skip_invalid:
                    teachers = {person.teacher for person in persons if person.teacher}
                    write_part(path, made, people.name, _hash(persons), pictures, found, sorted(teachers))
            else:
                bar.update(len(persons))
            problems += found
            crops += len(persons) - len(found)
    listed = _list_problems(out / f"{people.name}-problems.txt", problems)
    if problems and not skip_invalid:
        raise InvalidValueError(
            people.name,
            "usable pictures and annotations",
            f"{len(problems)} that cannot be used (and {crops} that can), listed in {listed}, the first: {problems[0]}",
            "fix them and run the command again, or leave them out with --skip-invalid",
        )
    return BuildSummary(crops, problems)


def _cut(persons: Sequence[AnnotatedPerson], bar: Any) -> tuple[list[Crop], list[str]]:
    """Crops sorted by track and frame, and the reasons why others could not be cut, one line each."""
    crops: list[Crop] = []
    problems: list[str] = []
    for path, group in groupby(persons, key=lambda person: person.picture):
        here = list(group)
        try:
            picture = np.ascontiguousarray(read_image(path, here[0].size)[..., ::-1])
        except StructuredError as error:
            problems += [f"{person.name} on {error}" for person in here]
        else:
            for person in here:
                try:
                    crops.append(cut_crop(picture, person, [other for other in here if other is not person]))
                except ValueError as error:
                    problems.append(f"{person.name} on {printable(path)}: {error}")
        bar.update(len(here))
    return sorted(crops, key=lambda crop: (crop.track, crop.frame)), problems


def _problems_of_finished(path: Path, persons: Sequence[AnnotatedPerson], pictures: str) -> list[str] | None:
    """What was left out of a part that exists already; None if there is no such part, or one of other pictures."""
    if not path.is_file():
        return None
    _, header = open_part(path)
    if header["people"] != _hash(persons):
        fix = "choose another --out, or delete it"
        raise InvalidValueError(
            printable(path), "crops of the same people", "crops of others, or cut in another way", fix
        )
    found: list[str] = json.loads(header["faults"])
    return found if header.get("pictures") == pictures else None


def _hash(persons: Sequence[AnnotatedPerson]) -> str:
    """A hash of everything that determines the crops, except for the pictures."""
    lines = [f"JPEG {JPEG_QUALITY}"]
    for person in persons:
        numbers = (person.size, person.box_xyxy.tolist(), person.keypoints.tolist(), person.track, person.frame)
        lines.append(f"{person.picture.name} {numbers} {person.stretch} {person.teacher}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _hash_pictures(persons: Sequence[AnnotatedPerson]) -> str:
    """A hash of what the pictures contain, wherever they are: copies of a data set have other time stamps.

    Hashing takes a small part of the time of decoding.
    """
    together = hashlib.sha256()
    for path in dict.fromkeys(person.picture for person in persons):
        try:
            together.update(hash_file(path, MAX_BYTES).encode())
        except (StructuredError, OSError):  # why it cannot be used is found when it is read
            together.update(b"none")
    return together.hexdigest()


def _list_problems(path: Path, problems: Sequence[str]) -> Path:
    if problems:
        atomic_write(path, "".join(f"{problem}\n" for problem in problems).encode())
    else:
        path.unlink(missing_ok=True)
    return path
