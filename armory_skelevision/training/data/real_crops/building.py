"""Builds a store of crops part by part. Finished parts are kept; what cannot be used is listed, refused or skipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from armory_skelevision.datasets.people import People, Person
from armory_skelevision.io import atomic_write
from armory_skelevision.training.data.real_crops.cropping import JPEG_QUALITY, Crop, cut_crop, read_picture
from armory_skelevision.training.data.real_crops.store import SUFFIX, open_part, write_part
from armory_skelevision.validation import InvalidValueError


class BuildSummary(NamedTuple):
    """The outcome of `build_crops`.

    Attributes:
        crops: Number of crops of these people in the store.
        faults: What was left out and why, one line each.
    """

    crops: int
    faults: list[str]


def build_crops(people: People, out: Path, skip_faulty: bool = False) -> BuildSummary:
    """Cut crops of people into a store. Resumes after an interruption.

    All usable crops are cut before any is refused, so that one run finds all faults, and a second one, after they are
    fixed, has little left to do. The faults are listed in ``<people.name>-faults.txt`` in the store.

    Args:
        people: The people of a data set.
        out: Folder of the store; made if absent. It may already hold crops of other data sets.
        skip_faulty: Leave out unusable pictures and annotations instead of refusing them. A later run without this
            tries them again.

    Raises:
        OSError: If the store cannot be written.
        InvalidValueError: If pictures or annotations cannot be used, or the store has parts of that name that were cut
            from other people.
    """
    out.mkdir(parents=True, exist_ok=True)
    faults, crops = list(people.faults), 0
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
        raise InvalidValueError(
            people.name,
            "usable pictures and annotations",
            f"{len(faults)} that cannot be used (and {crops} that can), listed in {listed}, the first: {faults[0]}",
            "fix them and run the command again, or leave them out with --skip-faulty",
        )
    return BuildSummary(crops, faults)


def _cut(persons: Sequence[Person], bar: tqdm) -> tuple[list[Crop], list[str]]:
    """Crops sorted by track and frame, and the reasons why others could not be cut, one line each."""
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


def _faults_of_finished(path: Path, persons: Sequence[Person]) -> list[str] | None:
    """What was left out of a part that exists already; None if there is no such part."""
    if not path.is_file():
        return None
    _, header = open_part(path)
    if header["people"] != _hash(persons):
        fix = "choose another --out, or delete it"
        raise InvalidValueError(str(path), "crops of the same people", "crops of others, or cut in another way", fix)
    found: list[str] = json.loads(header["faults"])
    return found


def _hash(persons: Sequence[Person]) -> str:
    """A hash of everything that determines the crops, except for the folder of the pictures."""
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
