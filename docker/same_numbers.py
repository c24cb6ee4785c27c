"""Say whether two result files of ARMORY hold the same numbers.

    python docker/same_numbers.py INSIDE.json OUTSIDE.json [TOLERANCE]

Prints the means of both and the largest difference of any number in them; exit code 1 if it exceeds the tolerance.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4


def read_numbers(path: Path) -> dict[str, float]:
    """All numbers under "results", by the way to each, such as ``benign_mean_video_tracking_mean_iou.0``."""
    return dict(_walk(json.loads(path.read_text(encoding="utf-8"))["results"], ""))


def _walk(value: Any, way: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(inner, f"{way}.{key}" if way else str(key))
    elif isinstance(value, int | float):
        yield way, float(value)


def compare(first: dict[str, float], second: dict[str, float]) -> tuple[str, float]:
    """Where two sets of numbers differ most, and by how much: infinitely if one lacks a number or it is none.

    Raises:
        ValueError: If there is nothing to compare.
    """
    if not first or not second:
        raise ValueError("a result without numbers")
    apart = {way: abs(first.get(way, math.nan) - second.get(way, math.nan)) for way in {*first, *second}}
    return max(((way, math.inf if math.isnan(gap) else gap) for way, gap in apart.items()), key=lambda pair: pair[1])


def main(arguments: Sequence[str]) -> int:
    """Compare the two files that the arguments name, and return the exit code."""
    inside, outside = (read_numbers(Path(name)) for name in arguments[:2])
    tolerance = float(arguments[2]) if len(arguments) > 2 else TOLERANCE
    for way in sorted(inside):
        if "_mean_" in way and way in outside:
            print(f"{way:60} inside {inside[way]:.6f}  outside {outside[way]:.6f}")
    way, gap = compare(inside, outside)
    print(f"{len(inside)} numbers, the largest difference is {gap:.2g} ({way}); {tolerance:g} is allowed")
    return int(gap > tolerance)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
