"""What a run's result depends on: settings, contents of files, versions. A run is resumed only where all are the same.

The record is kept in the run's checkpoints, and the model card is written from it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

import armory_skelevision
from armory_skelevision.io import hash_file, progress
from armory_skelevision.training.data.real_crops.store import is_crop_store
from armory_skelevision.training.settings import MultitaskSettings, RunSettings, shares_of
from armory_skelevision.training.videos import hash_videos
from armory_skelevision.validation import InvalidValueError, MissingFileError

Record = dict[str, Any]
"""``settings`` as in JSON; ``sha256`` of stores and files by the setting that names them; ``versions`` by package."""

_PACKAGES = ("lightning", "numpy", "torch")
# What has no influence on the result; paths, since contents are compared; more steps are let through and recorded.
_FREE = ("folder", "workers", "checkpoint_minutes", "tensorboard", "steps")
_ANEW = "resume with what the run began with, or begin anew with --overwrite or in another folder"


def record_run(settings: RunSettings, files: Mapping[str, Path]) -> Record:
    """The record of a run that begins now.

    Args:
        settings: The run's settings.
        files: The files that it reads besides the stores, by setting.

    Raises:
        MissingFileError: If there is no such file or store.
    """
    for name, path in files.items():
        if not path.is_file():
            raise MissingFileError(name, "a file", str(path))
    stores = {name: _hash_stores(name, getattr(settings, name)) for name in ("store", "validation_store")}
    if isinstance(settings, MultitaskSettings) and settings.validation_videos:
        stores["validation_videos"] = hash_videos(settings.validation_videos)
    return {
        "settings": json.loads(json.dumps(asdict(settings))),
        "sha256": {**stores, **{name: hash_file(path) for name, path in files.items()}},
        "versions": {
            "armory_skelevision": armory_skelevision.__version__,
            "opencv": cv2.__version__,
            **{name: version(name) for name in _PACKAGES},
        },
    }


def check_same_run(recorded: Record, now: Record) -> None:
    """Refuse to resume a run as another one (`InvalidValueError`, whose ``key`` is the first difference)."""
    before, after = _relevant(recorded), _relevant(now)
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if differ:
        name, others = differ[0], ", ".join(differ[1:])
        fix = f"{_ANEW}{f' (also different: {others})' if others else ''}"
        expected = f"{_show(before, name)}, as in the run so far"
        raise InvalidValueError(name, expected, _show(after, name), fix)
    steps, done = now["settings"]["steps"], recorded["settings"]["steps"]
    if steps < done:
        raise InvalidValueError("steps", f"at least {done}, as in the run so far", str(steps), _ANEW)


def _hash_stores(name: str, stores: str | Mapping[str, float]) -> str:
    """The hash of the store of a setting, or of several with their shares."""
    hashes = [(share, hash_store(name, folder)) for folder, share in shares_of(name, stores).items()]
    return hashes[0][1] if len(hashes) == 1 else hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def hash_store(name: str, folder: str | os.PathLike[str]) -> str:
    """A SHA-256 of all files that a store's pairs are made from, names included.

    Raises:
        MissingFileError: If the folder is no store; its ``key`` is ``name``.
    """
    root = Path(folder)
    if is_crop_store(root):
        paths = sorted(root.glob("*.safetensors"))
    else:
        lists = [root / "people.jsonl", root / "scenes.jsonl"]
        if not all(path.is_file() for path in lists):
            fix = "render people and scenes, or cut crops with `skelevision data crops`"
            raise MissingFileError(name, "a store of training pairs", str(folder), fix)
        paths = [*lists, *sorted([*root.glob("people/*"), *root.glob("scenes/*")])]
    digest = hashlib.sha256()
    for path in progress([path for path in paths if path.is_file()], f"Reading {root.name}", unit="file"):
        digest.update(os.fsencode(path.relative_to(root)) + b"\0" + hash_file(path).encode() + b"\n")
    return digest.hexdigest()


def _relevant(record: Record) -> dict[str, Any]:
    """The parts of a record that must be the same, by name."""
    settings = {name: value for name, value in record["settings"].items() if name not in _FREE}
    nested = {
        f"{name}.{key}": value for name in ("tracking", "trigger") for key, value in settings.pop(name, {}).items()
    }
    values = {**settings, **nested, **{f"version of {name}": found for name, found in record["versions"].items()}}
    hashes = {name: f"{value} (sha256)" for name, value in record["sha256"].items()}
    return {**values, **hashes}


def _show(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "none"
