"""A planned run of a sweep, and what its folder records about it.

A finished run's folder holds `config.json`, `result.json` (ARMORY's), `log.txt`, what ARMORY exported, and last of all
`run.json`, the record: without it, the run is not done. That of a failed run has the log's end, and there is no result.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import armory_skelevision
from armory_skelevision.io import hash_file, read_object
from armory_skelevision.validation import StructuredError
from armory_skelevision.weights import resolve as weights

RECORD, CONFIG, RESULT, LOG = "run.json", "config.json", "result.json", "log.txt"
FILES = GRID, RUNS = "grid.json", "runs.json"
"""What a sweep's folder has beside the folders of its runs: a copy of the grid file, and all runs that it asks for."""

MAX_RECORD = 16 * 2**20
"""Most bytes of a record."""

_PACKAGES = ("adversarial-robustness-toolbox", "armory-testbed", "numpy", "torch")


class Run(NamedTuple):
    """One evaluation that a grid asks for."""

    name: str
    """Name of its folder."""
    labels: dict[str, Any]
    """Its place on each axis, in the words of the grid."""
    values: dict[str, Any]
    """What its axes set, by dotted key of the config."""
    config: dict[str, Any]
    """ARMORY's config."""
    options: tuple[str, ...] = ()
    """Options of `armory run`."""

    @property
    def hash(self) -> str:
        """SHA-256 of all that is run: the config without its description, and the options."""
        config = {key: value for key, value in self.config.items() if key != "_description"}
        return hashlib.sha256(json.dumps([config, self.options], sort_keys=True).encode("utf-8")).hexdigest()


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run that finished or failed; None where it has yet to be run."""
    try:
        return read_object(folder / RECORD, MAX_RECORD, inside=folder.parent)
    except StructuredError:  # half of one, as after a power cut, is none
        return None


def is_finished(run: Run, folder: Path) -> bool:
    """Whether a folder holds the result of this run, by the same versions and weights as there are now."""
    record = read_record(folder)
    if record is None or record.get("state") != "finished" or not (folder / RESULT).is_file():
        return False
    try:
        if record.get("result") not in (None, hash_file(folder / RESULT)):  # earlier versions recorded none
            return False
    except OSError:  # it cannot be read
        return False
    weights_then: Any = record.get("weights")
    recorded = weights_then if isinstance(weights_then, dict) else {}
    # Weights that are gone since are no reason to discard the results that were made with them.
    same = all(found is None or found == recorded.get(name) for name, found in hash_weights(run).items())
    return same and record.get("hash") == run.hash and record.get("versions") == versions()


def versions() -> dict[str, str]:
    """The versions of the packages that a result depends on."""
    found = {package: version(package) for package in _PACKAGES}
    return {"armory_skelevision": armory_skelevision.__version__, **found}


def hash_weights(run: Run) -> dict[str, str | None]:
    """The SHA-256 of each weights file that the config names, by its name; None for one that is not here.

    For an external tracker, also that of its module and of the files among its arguments.
    """
    found: dict[str, str | None] = {}
    for key, name in weights.named_weights(run.config).items():
        try:
            path = weights.resolve(name, by_armory=key.startswith("model"))
            found[name] = _hash(str(path), path.stat().st_mtime_ns)
        except OSError:  # not here, or not readable
            found[name] = None
    return {**found, **_hash_external(run.config)}


def _hash_external(config: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file that an external tracker comes from: its module, and arguments that are files.

    The module is only looked for in the working directory, where code is that changes between two sweeps.
    """
    kwargs = config["model"].get("model_kwargs") or {}
    if not isinstance(kwargs.get("factory"), str):
        return {}
    arguments = kwargs.get("kwargs")
    texts = [each for each in arguments.values() if isinstance(each, str)] if isinstance(arguments, Mapping) else []
    found = {}
    for name in (kwargs["factory"].partition(":")[0].replace(".", "/") + ".py", *texts):
        with contextlib.suppress(OSError):  # no file, or not readable
            path = weights.resolve(name)
            found[name] = _hash(str(path), path.stat().st_mtime_ns)
    return found


@functools.lru_cache
def _hash(path: str, changed: int) -> str:
    return hash_file(path)
