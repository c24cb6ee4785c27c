"""Which videos of a data set a config takes: a split with a slice (``dev[2:5]``), then ARMORY's ``index``.

Both are checked here, before any data are read: ARMORY and TFDS take some wrong ones for others, and end in tracebacks
for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from armory_skelevision.validation import InvalidValueError

_SLICE = re.compile(r"(?P<name>[^\[\]+]+)(?:\[(?:(?P<first>[0-9]{0,9}):(?P<last>[0-9]{0,9})|(?P<one>[0-9]{1,9}))\])?")
_LIST = re.compile(r"(?P<name>[^\[\]+]+)\[\[(?P<numbers>[0-9]{1,9}(?:\s*,\s*[0-9]{1,9})*)\]\]")
_END = 10**9  # more than any slice may name
_FIX = "slices are written as in dev[2:5], dev[3] or dev[0]+dev[3]"

Part = tuple[int, int | None]
"""The first number of a slice, and the one after its last; None for the end."""


def single_split(split: str, available: Sequence[str]) -> str:
    """The name of the one split in an expression such as ``dev``, ``dev[2:5]`` or ``dev[0]+dev[3]``.

    Raises:
        InvalidValueError: For several splits, one that is not available, or a slice that is empty, runs backwards, or
            has negative numbers, percentages or steps; also for slices that overlap or are out of order.
    """
    tokens = [token.strip() for token in split.split("+")] if isinstance(split, str) else [""]
    names = {token.partition("[")[0] for token in tokens}
    if len(names) != 1 or not names <= set(available):
        expected = " or ".join(repr(name) for name in available) or "no split: there is none"
        raise InvalidValueError("split", expected, repr(split)[:100], _FIX)
    _read_parts(split)
    return names.pop()


def check_index(index: Any) -> None:
    """Refuse an ``index`` that is neither None, nor different numbers from 0, nor a slice (``[2:5]``, ``2:5``) as text.

    Raises:
        InvalidValueError: With the key ``index``.
    """
    if index is None:
        return
    if isinstance(index, str):
        _read_slice(index)
        return
    whole = isinstance(index, list | tuple) and all(type(number) is int and number >= 0 for number in index)
    if not whole or not index or len(set(index)) < len(index):
        raise InvalidValueError("index", "different whole numbers of at least 0, or null for all", repr(index)[:100])


def select(count: int, split: str, index: list[int] | str | None) -> list[int]:
    """The numbers of the videos that a split's expression, and then an index, select of a split, in order.

    Args:
        count: Videos of the whole split.
        split: The expression.
        index: Numbers within what ``split`` selects, a slice of it as text, or None for all.

    Raises:
        InvalidValueError: As from `single_split` and `check_index`; also for numbers beyond the end.
    """
    check_index(index)
    chosen = _numbers(_read_parts(split), count, "split", split)
    if index is None:
        return chosen
    if isinstance(index, str):
        return [chosen[number] for number in _numbers([_read_slice(index)], len(chosen), "index", index)]
    if max(index) >= len(chosen):
        raise InvalidValueError("index", f"numbers below {len(chosen)}", repr(index)[:100])
    return [chosen[number] for number in sorted(index)]


def _read_parts(split: str) -> list[Part]:
    """The slices of an expression, in ascending order."""
    read = [_read_part(token.strip()) for token in split.split("+")]
    parts = [part for each in read for part in each or ()]
    if None in read or not _rises(parts):
        expected = "slices that are not empty, do not overlap and are in ascending order"
        raise InvalidValueError("split", expected, repr(split)[:100], _FIX)
    return parts


def _read_part(token: str) -> list[Part] | None:
    """The slices of one summand; None if it cannot be read."""
    listed, sliced = _LIST.fullmatch(token), _SLICE.fullmatch(token)
    if listed is not None:
        return [(number, number + 1) for number in map(int, listed["numbers"].split(","))]
    if sliced is None:
        return None
    if sliced["one"] is not None:
        return [(int(sliced["one"]), int(sliced["one"]) + 1)]
    return [(int(sliced["first"] or 0), int(sliced["last"]) if sliced["last"] else None)]


def _read_slice(index: str) -> Part:
    text = index.strip()
    found = _SLICE.fullmatch(f"all{text if text.startswith('[') else f'[{text}]'}")
    parts = _read_part(found[0]) if found else None
    if not parts or not _rises(parts):
        raise InvalidValueError("index", "a slice such as [2:5] or [3]", repr(index)[:100])
    return parts[0]


def _rises(parts: Sequence[Part]) -> bool:
    """Whether no slice is empty, and each begins where the one before ends, or later."""
    end = 0
    for first, last in parts:
        if not end <= first < (_END if last is None else last):
            return False
        end = _END if last is None else last
    return True


def _numbers(parts: Sequence[Part], count: int, key: str, text: str) -> list[int]:
    for first, last in parts:
        if first >= count or (last or 0) > count:
            expected = f"numbers of the {count} videos, from 0 to {count - 1}" if count else "at least one video"
            raise InvalidValueError(key, expected, repr(text)[:100])
    return [number for first, last in parts for number in range(first, count if last is None else last)]
