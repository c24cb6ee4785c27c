"""What a tracker was made from, for the records of its evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armory_skelevision.io import hash_file


@dataclass(frozen=True)
class Origin:
    """What a tracker was made from.

    Attributes:
        section: The ``model`` section of a config that names it.
        weights: SHA-256 of its weights file, by the name that the section has for it; empty without such a file.
    """

    section: Mapping[str, Any]
    weights: Mapping[str, str] = field(default_factory=dict)


def describe_origin(
    name: str,
    model_kwargs: Mapping[str, Any],
    wrapper_kwargs: Mapping[str, Any],
    weights_file: str | None,
    path: Path | None,
) -> Origin:
    """The origin of a tracker.

    Args:
        name: Of its function in `armory_skelevision.models`.
        model_kwargs: What the function was given.
        wrapper_kwargs: Likewise. The device is left out: it is no part of what was evaluated.
        weights_file: The weights file as it was named; None for one that the function found by itself, or none.
        path: Where that file is; None without one.
    """
    known = weights_file if weights_file is not None or path is None else path.name
    section = {
        "fit": False,
        "fit_kwargs": {},
        "model_kwargs": dict(model_kwargs),
        "module": "armory_skelevision.models",
        "name": name,
        "weights_file": known,
        "wrapper_kwargs": {key: value for key, value in wrapper_kwargs.items() if key != "device_type" and value},
    }
    return Origin(section, {} if known is None or path is None else {known: hash_file(path)})
