"""Where the file is that a `weights_file` names: the one look-up of the package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.io import printable, read_object
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS

_NANOTRACK = "get it from https://github.com/HonglinChu/SiamTrackers, folder NanoTrack/models/pretrained (Apache 2.0)"
SIAMFCPP_FILE = "siamfcpp-alexnet-vot-md5_88e4e9ee476545b952b04ae80c480f08.pkl"
"""The published weights of SiamFC++ with AlexNet; their name holds their MD5."""

# How to get weights that configs of this repository name and that do not come with the package.
_HOW_TO_GET = {
    "nanotrackv2.pth": _NANOTRACK,
    "nanotrackv3.pth": _NANOTRACK,
    SIAMFCPP_FILE: (
        "get it from the folder https://drive.google.com/open?id=1XhWIU1KIt9wvFpzZqEDaX-GrgZ9AVcOC "
        "(github.com/MegviiDetection/video_analyst, MIT)"
    ),
    "siamrpn_alex_mtl_backdoor.safetensors": (
        "train it with `skelevision train backdoor training_configs/backdoors/fsba.json` and copy its "
        "weights.safetensors there under this name (docs/backdoors.md)"
    ),
    **{source.file: f"run `skelevision weights fetch {source.name}`" for source in WEIGHTS.values()},
}


def saved_model_dir() -> Path:
    """The folder where ARMORY looks for a config's `weights_file`: in a container its own, elsewhere the user's.

    Unlike ARMORY's own look-up, this one writes nothing: the folder need not exist.

    Raises:
        InvalidValueError: If ARMORY's settings cannot be read.
    """
    from armory import paths

    # Outside of a run ARMORY answers with the folders of its containers, which it mounts there.
    inside = paths.DockerPaths()
    if not paths.NO_DOCKER and Path(inside.dataset_dir).is_dir():
        return Path(inside.saved_model_dir)
    defaults = paths.HostDefaultPaths()
    settings = Path(defaults.armory_config)
    if not settings.is_file():
        return Path(defaults.saved_model_dir)
    folder = read_object(settings).get("saved_model_dir")
    if not isinstance(folder, str):
        raise InvalidValueError(
            printable(settings), 'a path as "saved_model_dir"', repr(folder), "run armory configure"
        )
    return Path(folder)


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
    packaged = [PACKAGED_WEIGHTS / path] if path.name == os.fspath(path) else []
    for place in [*([] if by_armory else [path]), folder / path, *packaged]:
        if os.path.isfile(place):  # unlike Path's method, it takes names that no file can have
            return place
    looked = [folder / path] if by_armory or path.is_absolute() else [Path.cwd() / path, folder / path]
    places = " or ".join(printable(place) for place in looked)
    raise MissingFileError("weights_file", f"a file at {places}, or the name of a packaged file", "none", _fix(path))


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
