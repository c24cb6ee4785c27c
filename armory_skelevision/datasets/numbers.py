"""Numbers in annotations, read strictly: what Python or numpy would take or misread in silence is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import printable, read_text
from armory_skelevision.validation import InvalidValueError

MAX_COORDINATE = 1e6
"""Largest absolute value of a coordinate or length in pixels; float32 keeps sixteenths of a pixel up to it."""
MAX_TEXT_BYTES = 16 * 2**20
"""Size of a text file of boxes or flags: some hundred thousand frames."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_lines(path: Path, inside: Path | None = None) -> list[str]:
    """The lines of a text file without blanks at their ends, and without the empty lines after the last.

    Args:
        path: The file.
        inside: A folder that the file must be in, whatever links the path goes through; None for any place.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no text, larger than `MAX_TEXT_BYTES`, or outside of the folder.
    """
    text = read_text(path, MAX_TEXT_BYTES, inside).replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip(" \t") for line in text.rstrip(" \t\n").split("\n")] if text.strip(" \t\n") else []


def parse_box_xywh(line: str, key: str) -> tuple[float, float, float, float]:
    """The four numbers of a line ``x y w h``, all separated by commas or all by blanks.

    Raises:
        InvalidValueError: If there are more or fewer, empty fields, two kinds of separators, other text, or numbers
            beyond `MAX_COORDINATE`.
    """
    numbers = parse_numbers(line, key, {4: "four numbers x y w h"})
    if numbers is None:
        raise InvalidValueError(key, "four numbers x y w h, separated by commas or by blanks", repr(line)[:100])
    x, y, width, height = numbers
    return x, y, width, height


def parse_numbers(line: str, key: str, kinds: Mapping[int, str]) -> tuple[float, ...] | None:
    """The numbers of a line, all separated by commas or all by blanks; None if every one of them is "nan".

    Args:
        line: The line.
        key: Its place, for errors.
        kinds: How many numbers there may be, and what they are.

    Raises:
        InvalidValueError: For another count, empty fields, two kinds of separators, other text, "nan" beside numbers,
            or numbers beyond `MAX_COORDINATE`.
    """
    fields = re.split(r"[ \t]*,[ \t]*" if "," in line else r"[ \t]+", line)
    if len(fields) in kinds and all(field.lower() == "nan" for field in fields):
        return None
    if len(fields) not in kinds or not all(_NUMBER.fullmatch(field) for field in fields):
        expected = f"{' or '.join(kinds.values())}, separated by commas or by blanks"
        raise InvalidValueError(key, expected, repr(line)[:100])
    numbers = tuple(map(float, fields))
    if max(map(abs, numbers)) > MAX_COORDINATE:
        raise InvalidValueError(key, f"coordinates of at most {MAX_COORDINATE:,.0f} pixels", repr(line)[:100])
    return numbers


def read_flags(path: Path, inside: Path | None = None) -> list[bool]:
    """All flags, 0 or 1, of a file, which are in one line, separated by commas, or in a line each; see `read_lines`."""
    lines = read_lines(path, inside)
    several = len(lines) > 1
    flags = lines if several else [flag.strip(" \t") for line in lines for flag in line.split(",")]
    for at, flag in enumerate(flags, start=1):
        if flag not in ("0", "1"):
            key = place(path, at if several else 1)
            raise InvalidValueError(key, "flags 0 or 1, in one line or in a line each", f"{flag!r:.40} as flag {at}")
    return [flag == "1" for flag in flags]


def as_array(key: str, values: Any, shape: tuple[int, ...], limit: float = MAX_COORDINATE) -> NDArray[np.float64]:
    """Nested lists of JSON numbers as an array.

    Raises:
        InvalidValueError: If the lists do not have this shape, or hold anything but numbers of at most ``limit``.
    """
    flat = [values]
    for length in shape:
        if not all(isinstance(each, list | tuple) and len(each) == length for each in flat):
            raise InvalidValueError(key, f"numbers {shape}", f"{_shape(values) or repr(values)[:80]}")
        flat = [item for each in flat for item in each]
    # bool is a kind of int, and numpy would read numbers in quotes
    wrong = next((item for item in flat if type(item) not in (int, float) or not abs(item) <= limit), None)
    if wrong is not None or None in flat:
        raise InvalidValueError(key, f"numbers of at most {limit:,.0f}", repr(wrong)[:80])
    return np.array(flat, dtype=np.float64).reshape(shape)


def duplicates(values: Sequence[Any]) -> list[Any]:
    """The values that occur more than once, in the order in which they do."""
    seen: set[Any] = set()
    return list(dict.fromkeys(value for value in values if value in seen or seen.add(value)))  # type: ignore[func-returns-value]


def name_some(values: Sequence[object]) -> str:
    """The first values, and how many there are."""
    shown = ", ".join(str(value)[:80] for value in values[:5])
    return f"{shown}, … ({len(values)} in all)" if len(values) > 5 else shown


def place(path: Path, line: int | str) -> str:
    """The key of an error about a line, or a key, of a file."""
    return f"{printable(path)}:{line}" if isinstance(line, int) else f"{printable(path)}: {line}"


def _shape(values: Any) -> tuple[int, ...]:
    return (len(values), *_shape(values[0] if values else None)) if isinstance(values, list) else ()
