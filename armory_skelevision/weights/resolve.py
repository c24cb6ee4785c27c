"""Where the file is that a `weights_file` names: the one look-up of the package."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.validation import MissingFileError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS

_NANOTRACK = "get it from https://github.com/HonglinChu/SiamTrackers, folder NanoTrack/models/pretrained (Apache 2.0)"
# How to get weights that configs of this repository name and that do not come with the package.
_HOW_TO_GET = {
    "nanotrackv2.pth": _NANOTRACK,
    "nanotrackv3.pth": _NANOTRACK,
    "siamrpn_alex_mtl_backdoor.safetensors": (
        "train it with `skelevision train backdoor training_configs/backdoors/fsba.json` and copy its "
        "weights.safetensors there under this name (docs/backdoors.md)"
    ),
    **{source.file: f"run `skelevision weights fetch {source.name}`" for source in WEIGHTS.values()},
}


def saved_model_dir() -> Path:
    """The folder where ARMORY looks for a config's `weights_file`: in a container its own, elsewhere the user's."""
    from armory import paths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ARMORY's advice to configure it; its default folder serves too
        folders = paths.runtime_paths()
        # Outside of a run ARMORY answers with the folders of its containers, which it mounts there.
        inside = Path(folders.dataset_dir).is_dir()
        return Path((folders if inside else paths.HostPaths()).saved_model_dir)


def resolve(weights_file: str | os.PathLike[str], by_armory: bool = False) -> Path:
    """The path of a weights file.

    Args:
        weights_file: A path, the name of a file in ARMORY's ``saved_model_dir``, or the name of a packaged file. They
            are tried in this order.
        by_armory: Leave out the working directory, in which ARMORY does not look for the weights of a model.

    Raises:
        MissingFileError: If there is no such file; has where it was looked for, and how to get it.
    """
    path, folder = Path(weights_file), saved_model_dir()
    # Before its first run, ARMORY's folder has none of the packaged files.
    places = [folder / path, PACKAGED_WEIGHTS / path]
    for place in places if by_armory else [path, *places]:
        if place.is_file():
            return place
    looked = [os.fspath(folder / path)] if by_armory or path.is_absolute() else [path.absolute(), folder / path]
    raise MissingFileError(
        "weights_file", f"a file at {' or '.join(map(str, looked))}, or the name of a packaged file", "none", _fix(path)
    )


def named_weights(config: Mapping[str, Any]) -> dict[str, str]:
    """The weights files that an ARMORY config names, by dotted key: those of its model and of its defense.

    Several files of one model, in a list or an object, have a key each: ``model.weights_file.0``.
    """
    model = config["model"].get("weights_file")
    defense = ((config.get("defense") or {}).get("kwargs") or {}).get("weights_file")
    found: dict[str, str] = {}
    for key, value in {"model.weights_file": model, "defense.kwargs.weights_file": defense}.items():
        several = value if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, list) else None
        each = {f"{key}.{name}": item for name, item in several.items()} if several is not None else {key: value}
        found.update({place: name for place, name in each.items() if isinstance(name, str)})
    return found


def _fix(path: Path) -> str:
    if path.name in _HOW_TO_GET:
        return _HOW_TO_GET[path.name]
    packaged = ", ".join(sorted(file.name for file in PACKAGED_WEIGHTS.glob("*.safetensors")))
    return f"put the file there, or name another one; packaged are {packaged}"
