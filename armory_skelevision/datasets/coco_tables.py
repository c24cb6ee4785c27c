"""The three lists of a COCO file, whose entries refer to each other by ids: unique, or the file is refused.

COCO's own tools take the last of several entries with one id in silence, and so mix up people and pictures.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.datasets.numbers import duplicates, name_some, place
from armory_skelevision.io import printable, read_object
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError

MAX_BYTES = 2**30
"""Size of a file of annotations; the largest of COCO 2017 has a quarter of it."""

Entry = Mapping[str, Any]


class CocoTables(NamedTuple):
    """The content of a COCO file of person keypoints."""

    images: dict[Hashable, Entry]
    """The images by their ids, with different file names."""
    categories: dict[Hashable, Entry]
    """The categories by their ids."""
    person: Hashable
    """The id of the category of persons."""
    annotations: list[Entry]
    """The annotations, whose ids are unique as far as they have any."""


def read_tables(path: Path) -> CocoTables:
    """Read a COCO file.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is larger than `MAX_BYTES`, no JSON, or not of COCO's layout; if ids or file names
            occur twice; if there is no category of persons, or one whose keypoints are others or in another order.
    """
    content = read_object(path, MAX_BYTES)
    lists = {key: _read_list(path, content, key) for key in ("images", "categories", "annotations")}
    images, categories = (_by_id(path, key, lists[key]) for key in ("images", "categories"))
    ids = [entry["id"] for entry in lists["annotations"] if _is_id(entry.get("id"))]
    _refuse_duplicates(place(path, "annotations"), "id", ids)
    names = [
        os.path.normpath(entry["file_name"]) for entry in images.values() if isinstance(entry.get("file_name"), str)
    ]
    _refuse_duplicates(place(path, "images"), "file_name", names)
    persons = [number for number, entry in categories.items() if entry.get("name") == "person"]
    if len(persons) != 1:
        got = f"{len(persons)} of them"
        raise InvalidValueError(printable(path), "a file of COCO's person keypoints, with one category person", got)
    order = categories[persons[0]].get("keypoints")
    if order is not None and order != list(KEYPOINTS):
        raise InvalidValueError(place(path, "categories"), f"the keypoints {', '.join(KEYPOINTS)}", f"{order!r:.200}")
    return CocoTables(images, categories, persons[0], lists["annotations"])


def find(table: Mapping[Hashable, Entry], number: Any) -> Entry | None:
    """The entry with an id; None if there is none, or if it cannot be an id."""
    return table.get(number) if _is_id(number) else None


def _read_list(path: Path, content: Mapping[str, Any], key: str) -> list[Entry]:
    entries = content.get(key)
    if not isinstance(entries, list):
        got = f"no list {key}"
        raise InvalidValueError(printable(path), "a file of COCO's person keypoints", got)
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise InvalidValueError(place(path, f"{key}[{number}]"), "an object", f"{entry!r:.80}")
    return entries


def _by_id(path: Path, key: str, entries: Sequence[Entry]) -> dict[Hashable, Entry]:
    for number, entry in enumerate(entries):
        if not _is_id(entry.get("id")):
            raise InvalidValueError(place(path, f"{key}[{number}].id"), "a number", f"{entry.get('id')!r:.80}")
    _refuse_duplicates(place(path, key), "id", [entry["id"] for entry in entries])
    return {entry["id"]: entry for entry in entries}


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)  # true would be the id 1


def _refuse_duplicates(key: str, name: str, values: Sequence[Any]) -> None:
    if twice := duplicates(values):
        fix = "number them anew over the whole file" if name == "id" else "give each image a name of its own"
        raise InvalidValueError(key, f"another {name} for each entry", f"several with {name_some(twice)}", fix)
