"""Results kept in files: a measurement of hours goes on where it was stopped, and anyone can look at its rows."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

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


class Rows:
    """Rows of a CSV file, each found by some of its columns; several processes may add to one file.

    Args:
        path: The file, which is made with the first row; None keeps rows in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._table = pd.DataFrame()

    def get(self, key: Mapping[str, Any], work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The row with these values or, where there is none yet, ``key`` and what the work gives, which is added.

        Cells are read as what they look like; empty ones come back as None.
        """
        if not self._find(key):
            self._add({**key, **work()})
        return self._find(key)[0]

    def _find(self, key: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self.path is not None and self.path.is_file():
            self._table = pd.read_csv(self.path)
        table = self._table
        for name, value in key.items():
            table = table[table[name] == value] if name in table else table[:0]
        rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
        return rows

    def _add(self, row: Mapping[str, Any]) -> None:
        if self.path is None:
            self._table = pd.concat([self._table, pd.DataFrame([row])], ignore_index=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # released with the descriptor
            before = pd.read_csv(self.path) if self.path.is_file() else pd.DataFrame()
            table = pd.concat([before, pd.DataFrame([row])], ignore_index=True)
            atomic_write(self.path, table.to_csv(index=False).encode())
        finally:
            os.close(descriptor)
