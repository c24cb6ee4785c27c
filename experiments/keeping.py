"""Results kept in files: a measurement of hours goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from armory_skelevision.io import atomic_write

T = TypeVar("T")


def place(folder: Path | None, *parts: object) -> Path | None:
    """The file for a result, or None without a folder; ``parts`` are all that the result depends on."""
    if folder is None:
        return None
    name = hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:24]
    return folder / f"{name}.json"


def kept(path: Path | None, work: Callable[[], T]) -> T:
    """What is in a file or, where there is none yet, what the work gives, which is then put there.

    The result must be what JSON can hold: it comes back equal, but tuples as lists.
    """
    if path is not None and path.is_file():
        found: T = json.loads(path.read_text(encoding="utf-8"))
        return found
    result = work()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(result).encode())
    return result
