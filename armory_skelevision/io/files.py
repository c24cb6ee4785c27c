"""Atomic writes, hashes, and JSON as its standard defines it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from pathlib import Path
from typing import Any


def atomic_write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it: readers never see an incomplete file.

    Args:
        path: The file. Its folder must exist; an existing file is replaced.
        data: Its content.

    Raises:
        OSError: If it cannot be written; an existing file is then unchanged.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def hash_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal (`OSError` if it cannot be read)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_json(data: bytes) -> Any:
    """Parse JSON, strictly: Python's reader silently keeps the last of two equal keys, and accepts NaN.

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
    duplicates = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    if duplicates:
        raise ValueError(f"the key {', '.join(map(repr, duplicates))} occurs twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")
