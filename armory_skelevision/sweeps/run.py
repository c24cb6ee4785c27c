"""A cell of a grid, and what its folder says about it.

A finished cell's folder holds `config.json`, `result.json` (ARMORY's), `log.txt`, what ARMORY exported, and last of all
`cell.json`, the record: without it, a cell is not done. A failed one's has no result, and the log's end in the record.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import armory_skelevision
from armory_skelevision.io import hash_file

RECORD, CONFIG, RESULT, LOG = "cell.json", "config.json", "result.json", "log.txt"
# What the numbers depend on.
_PACKAGES = ("adversarial-robustness-toolbox", "armory-testbed", "numpy", "torch")


class Cell(NamedTuple):
    """One evaluation of a grid."""

    name: str
    """Of its folder."""
    labels: dict[str, Any]
    """Its place on each axis, as the grid calls it."""
    values: dict[str, Any]
    """What it sets differently from other cells, by dotted key."""
    config: dict[str, Any]
    """ARMORY's."""
    options: tuple[str, ...] = ()
    """Of `armory run`."""

    @property
    def hash(self) -> str:
        """SHA-256 of all that is run: the config without its description, and the options."""
        run = {key: value for key, value in self.config.items() if key != "_description"}
        return hashlib.sha256(json.dumps([run, self.options], sort_keys=True).encode("utf-8")).hexdigest()


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a cell that finished or failed; None where it has yet to be run."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def is_finished(cell: Cell, folder: Path) -> bool:
    """Whether a folder holds the result of this cell, by the same versions and weights as there are now."""
    record = read_record(folder)
    if record is None or record.get("state") != "finished" or not (folder / RESULT).is_file():
        return False
    recorded = record.get("weights") or {}
    # Weights that are gone since are no reason to lose what came of them.
    same = all(found is None or found == recorded.get(name) for name, found in hash_weights(cell).items())
    return same and record.get("hash") == cell.hash and record.get("versions") == versions()


def versions() -> dict[str, str]:
    """The versions of the packages that a result depends on."""
    found = {package: version(package) for package in _PACKAGES}
    return {"armory_skelevision": armory_skelevision.__version__, **found}


def hash_weights(cell: Cell) -> dict[str, str | None]:
    """The SHA-256 of each file that the config names as `weights_file`; None for one that is not here."""
    return {name: _hash(str(path), _changed(path)) for name, path in find_weights(cell).items()}


def find_weights(cell: Cell) -> dict[str, Path]:
    """Where the files will be looked for that the config names as `weights_file`, of its model and of its defense."""
    from armory_skelevision.weights.resolve import saved_model_dir

    given = cell.config["model"].get("weights_file")
    names = given.values() if isinstance(given, Mapping) else given if isinstance(given, list) else [given]
    # Unlike ARMORY, which loads the model's, our defenses take a path, too.
    defending = ((cell.config.get("defense") or {}).get("kwargs") or {}).get("weights_file")
    if isinstance(defending, str) and Path(defending).is_file():
        defending = os.path.abspath(defending)
    return {name: saved_model_dir() / name for name in (*names, defending) if isinstance(name, str)}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Hold a cell against all others who would run it, as long as the descriptor that comes back is open anywhere.

    None comes back where somebody else holds it.
    """
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        yield descriptor if held else None
    finally:
        os.close(descriptor)


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None


@functools.lru_cache
def _hash(path: str, changed: int | None) -> str | None:
    return None if changed is None else hash_file(path)
