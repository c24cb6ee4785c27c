"""JSON files that are read strictly, as settings which may hold further settings."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from armory_skelevision.io.reading import printable, read_object
from armory_skelevision.validation import Settings

MAX_RECORD = 2**20
"""Bytes of a file."""

Record = TypeVar("Record", bound=Settings)


def read_record(kind: type[Record], path: Path) -> Record:
    """Read a JSON file as settings of a class.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no JSON object, larger than `MAX_RECORD`, or not what the class accepts; the key is
            ``file.key``.
    """
    return parse_record(kind, read_object(path, MAX_RECORD), printable(path))


def parse_record(kind: type[Record], values: Any, section: str) -> Record:
    """Settings from an object, whose own objects become the settings that the class's annotations name.

    Args:
        kind: A subclass of `Settings`, whose fields may be others: ``Inner``, ``Inner | None``, ``tuple[Inner, ...]``.
        values: The object.
        section: Where it stands, for messages.

    Raises:
        InvalidValueError: If it is not what the classes accept.
    """
    if isinstance(values, Mapping):
        hints = get_type_hints(kind)
        known = [field.name for field in fields(kind) if field.name in values]
        inner = {name: _parse(hints[name], values[name], f"{section}.{name}") for name in known}
        values = {**values, **inner}
    return kind.from_dict(values, section)


def _parse(annotation: Any, value: Any, section: str) -> Any:
    """A value of a field, as settings where the annotation says so."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return parse_record(annotation, value, section)
    if origin in (Union, types.UnionType) and value is not None:
        kinds = [each for each in arguments if each is not types.NoneType]
        return _parse(kinds[0], value, section) if len(kinds) == 1 else value
    if origin is tuple and arguments[-1] is Ellipsis and isinstance(value, list):
        return tuple(_parse(arguments[0], each, f"{section}.{number}") for number, each in enumerate(value))
    return value
