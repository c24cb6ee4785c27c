"""JSON as its standard has it. Python's reader takes the last of two equal keys in silence, and NaN for a number."""

from __future__ import annotations

import json
from typing import Any


def parse_json(data: bytes) -> Any:
    """Read JSON.

    Args:
        data: Text in UTF-8.

    Raises:
        ValueError: If it is none; says what and where. Also for a key twice in one object, NaN, infinity, and objects
            nested too deep.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twins = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twins:
        raise ValueError(f"the key {', '.join(map(repr, twins))} stands twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
