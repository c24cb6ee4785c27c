"""Third-party checkpoints under this package's tensor names. Pure functions on dictionaries.

PySOT's tools use two namings of the same backbone, and trainers wrap the dictionary and prefix the names in different
ways: ``state_dict`` or ``model`` around it, ``module.`` (DataParallel) or ``model.`` (Lightning) before each name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from armory_skelevision.networks.keypoint_head import Depth
from armory_skelevision.validation import InvalidValueError

WRAPPERS = ("state_dict", "model")
PREFIXES = ("module.", "model.")

# Convolution and BatchNorm of the five blocks, numbered as in the single list of layers of PySOT's older checkpoints.
_FEATURES = {
    index: f"layer{1 + place // 2}.{place % 2}" for place, index in enumerate((0, 1, 4, 5, 8, 9, 11, 12, 14, 15))
}
_OLD_NAME = re.compile(r"backbone\.features\.(\d+)\.")

# A dictionary can contain itself; no trainer wraps deeper than this.
_MAX_WRAPPINGS = 4


def unwrap(checkpoint: object, path: str) -> dict[str, Tensor]:
    """The tensors of a loaded checkpoint, without the dictionaries that a trainer wrapped around them.

    Args:
        checkpoint: A state dict, or a dictionary with one under one of `WRAPPERS`, up to four levels deep.
        path: The file, for error messages.

    Raises:
        InvalidValueError: If there is no dictionary of plain tensors.
    """
    for _ in range(_MAX_WRAPPINGS):
        if not isinstance(checkpoint, Mapping):
            break
        inner = [checkpoint[key] for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)]
        if not inner:
            break
        checkpoint = inner[0]
    wanted = f"a dictionary of tensors, possibly inside {' or '.join(map(repr, WRAPPERS))}"
    if not isinstance(checkpoint, Mapping):
        raise InvalidValueError(path, wanted, type(checkpoint).__name__)
    if not checkpoint:
        raise InvalidValueError(path, wanted, "an empty one")
    others = [name for name, value in checkpoint.items() if not (isinstance(name, str) and _is_plain(value))]
    if others:
        raise InvalidValueError(path, wanted, f"entries that are no plain tensors: {list_some(map(str, others))}")
    return dict(checkpoint)


def rename(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """The same tensors under this package's names (PySOT's newer ones); ``path`` is the file, for error messages.

    Raises:
        InvalidValueError: If two tensors have the same name afterwards.
    """
    origins: dict[str, str] = {}
    for name in state:
        new_name = current_name(name)
        if new_name in origins:
            raise InvalidValueError(path, f"one tensor for {new_name!r}", f"two, {origins[new_name]!r} and {name!r}")
        origins[new_name] = name
    return {new_name: state[name] for new_name, name in origins.items()}


def current_name(name: str) -> str:
    """This package's name of a tensor. Unknown names stay as they are, except for the known prefixes."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    match = _OLD_NAME.match(name)
    if match and int(match[1]) in _FEATURES:
        return f"backbone.{_FEATURES[int(match[1])]}.{name[match.end() :]}"
    return name


def keypoint_depth(names: Iterable[str]) -> Depth | None:
    """The keypoint head among tensor names: "shallow", "deep", or None if there is none."""
    layers = {name.removeprefix("keypoint_head.") for name in names if name.startswith("keypoint_head.")}
    if not layers:
        return None
    return "deep" if "convs.6.weight" in layers else "shallow"


def list_some(items: Iterable[str], limit: int = 8) -> str:
    """The first items of a list, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
