"""What the data set functions have in common before any data is read: their options and their folders."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def check_options(
    function: Callable[..., Any],
    unknown: Mapping[str, object],
    *,
    batch_size: int,
    epochs: int,
    framework: str,
    max_frames: int | None,
) -> None:
    """Refuse what the data set functions cannot do.

    Args:
        function: The data set function, for the messages.
        unknown: Keyword arguments that the function does not know.
        batch_size: Videos per batch.
        epochs: Passes over the data.
        framework: What the batches are made of.
        max_frames: Frames kept of each video, or None.

    Raises:
        TypeError: For unknown keyword arguments; names the known ones.
        ValueError: For a value that is not supported.
    """
    name = function.__name__
    if unknown:
        parameters = inspect.signature(function).parameters.values()
        known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        raise TypeError(f"{name}: unknown option {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    if batch_size != 1:
        raise ValueError(f"{name}: batch_size: expected 1 (one video at a time), got {batch_size!r}")
    if framework != "numpy":
        raise ValueError(f"{name}: framework: expected 'numpy', got {framework!r}")
    if not _is_positive_int(epochs):
        raise ValueError(f"{name}: epochs: expected a whole number above 0, got {epochs!r}")
    if max_frames is not None and not _is_positive_int(max_frames):
        raise ValueError(f"{name}: max_frames: expected a whole number above 0, or null for all, got {max_frames!r}")


def single_split(function: Callable[..., Any], split: str, available: Sequence[str]) -> str:
    """The one split that an expression such as ``dev``, ``dev[2:5]`` or ``dev[0]+dev[3]`` is about.

    Args:
        function: The data set function, for the messages.
        split: A split expression of ARMORY or TFDS.
        available: The splits there are.

    Raises:
        ValueError: For another split, or several.
    """
    parts = str(split).split("+")
    named = {re.sub(r"\[.*\]$", "", part.strip()) for part in parts}
    if len(named) != 1 or not named <= set(available):
        expected = " or ".join(repr(name) for name in available) or "none: there is no split"
        raise ValueError(f"{function.__name__}: split: expected {expected} (slices as in dev[2:5]), got {split!r}")
    return named.pop()


def resolve_dataset_dir(dataset_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of prepared data: the one given (made if absent), else ARMORY's own, for Docker or for the host.

    Raises:
        FileNotFoundError: If none is given and ARMORY's is not there: outside of Docker with ARMORY not told so.
    """
    if dataset_dir is not None:
        folder = Path(dataset_dir).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    from armory import paths

    folder = Path(paths.runtime_paths().dataset_dir)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"ARMORY's dataset_dir {folder} does not exist. Inside Docker it is mounted there; outside, run with "
            "--no-docker, call armory.paths.set_mode('host'), or give dataset_dir"
        )
    return folder


def find_root(root: str | os.PathLike[str], dataset_dir: Path) -> Path:
    """The folder that a config means by a root.

    A relative one is looked up in the working directory, then in the folder of prepared data, which Docker mounts.

    Raises:
        FileNotFoundError: If it is in neither; names the places.
    """
    given = Path(root).expanduser()
    places = [given] if given.is_absolute() else [Path.cwd() / given, dataset_dir / given]
    for place in places:
        if place.is_dir():
            return place
    looked = " and ".join(str(place) for place in places)
    raise FileNotFoundError(f"root: found no folder at {looked}")


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
