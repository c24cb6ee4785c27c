"""What the data set functions have in common before any data is read: their options and their folders."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from armory_skelevision.datasets.selection import check_index
from armory_skelevision.datasets.selection import single_split as single_split
from armory_skelevision.io import printable
from armory_skelevision.validation import InvalidValueError, MissingFileError, check_arguments, check_known

P = ParamSpec("P")
Result = TypeVar("Result")


def checks_options(function: Callable[P, Result]) -> Callable[P, Result]:
    """Let a data set function refuse unknown options, and values that its annotations do not accept.

    The decorated function raises `InvalidValueError`, with the option's name as its key.
    """
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> Result:
        check_known("", options, names)
        given = {**dict(zip(names, args, strict=False)), **options}
        check_arguments(function, given)
        check_index(given.get("index"))
        return function(*args, **options)

    return checked


def resolve_dataset_dir(dataset_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of prepared data: the given one (created if absent), else ARMORY's, for Docker or for the host.

    Raises:
        MissingFileError: If none is given and ARMORY's does not exist, as outside of Docker in Docker mode.
        InvalidValueError: If the given one cannot be created.
    """
    if dataset_dir is not None:
        folder = _expand("dataset_dir", dataset_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            got = f"{printable(folder)}, {getattr(error, 'strerror', error)}"
            raise InvalidValueError("dataset_dir", "a folder, or one that can be created", got) from None
        return folder
    from armory import paths

    folder = Path(paths.runtime_paths().dataset_dir)
    if not folder.is_dir():
        fix = "Docker mounts it; otherwise use --no-docker, call armory.paths.set_mode('host'), or give dataset_dir"
        raise MissingFileError("dataset_dir", f"ARMORY's folder {folder}", "no such folder", fix)
    return folder


def find_root(root: str | os.PathLike[str], dataset_dir: Path, fix: str = "") -> Path:
    """The folder that a config's ``root`` refers to.

    A relative one is searched in the working directory, then in the folder of prepared data, which Docker mounts.

    Raises:
        MissingFileError: If it is in neither; names the places, and the fix.
    """
    here = _expand("root", root)
    places = [here] if Path(root).expanduser().is_absolute() else [here, dataset_dir / root]
    for place in places:
        if os.path.isdir(place):  # unlike Path's, it takes any path, even one that is too long
            return place
    raise MissingFileError("root", f"a folder at {' or '.join(map(printable, places))}", "none", fix)


def _expand(key: str, path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise InvalidValueError(key, "a path", printable(path), "there is no user of that name") from None
