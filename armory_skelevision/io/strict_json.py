"""JSON as its standard defines it. Python's reader silently keeps the last of two equal keys, and accepts NaN."""

from __future__ import annotations

import json
from typing import Any


def parse_json(data: bytes) -> Any:
    """Parse JSON.

    Args:
        data: Text in UTF-8.

    Raises:
        ValueError: If it is not JSON, with the reason and the place; also for a key that occurs twice in one object,
            NaN, infinity, and objects nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    duplicates = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if duplicates:
        raise ValueError(f"the key {', '.join(map(repr, duplicates))} occurs twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")
