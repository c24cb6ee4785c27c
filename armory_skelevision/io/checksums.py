"""Hashes of fetched files whose publishers state none: recorded once, compared from then on.

They are kept in one small file in the folder, in the format of ``sha256sum``, which can check them too.
"""

from __future__ import annotations

from pathlib import Path

from armory_skelevision.io.files import atomic_write

CHECKSUMS = ".armory_skelevision_sha256"
"""Name of the list of hashes."""


def recorded_hash(path: Path) -> str | None:
    """The SHA-256 recorded for a file of this name in this folder; None if there is none."""
    return _read(path.parent).get(path.name)


def record_hash(path: Path, sha256: str) -> None:
    """Record the hash of a file. Its folder is created if absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {**_read(path.parent), path.name: sha256}
    text = "".join(f"{value}  {name}\n" for name, value in sorted(entries.items()))
    atomic_write(path.parent / CHECKSUMS, text.encode("utf-8"))


def _read(folder: Path) -> dict[str, str]:
    checksums = folder / CHECKSUMS
    lines = checksums.read_text(encoding="utf-8").splitlines() if checksums.is_file() else []
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name: value for value, name in pairs}
