"""Third-party checkpoints under this package's tensor names. Pure functions on dictionaries.

PySOT's tools use two namings of the same backbone, and trainers wrap the dictionary and prefix the names in different
ways: ``state_dict``, ``model`` or ``model_state_dict`` around it, ``module.`` (DataParallel) or ``model.`` (Lightning)
before each name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from armory_skelevision.io import printable
from armory_skelevision.networks.keypoint_head import HeadKind
from armory_skelevision.validation import InvalidValueError

WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = re.compile(r"(?:module\.|model\.)+")

# Convolution and BatchNorm of the five blocks, numbered as in the single list of layers of PySOT's `AlexNetLegacy`
# (github.com/STVIR/pysot, pysot/models/backbone/alexnet.py), which the configs of its published trackers name.
_FEATURES = {
    f"backbone.features.{index}.": f"backbone.layer{1 + place // 2}.{place % 2}."
    for place, index in enumerate((0, 1, 4, 5, 8, 9, 11, 12, 14, 15))
}
_LAYERS = {layer: features for features, layer in _FEATURES.items()}
_BLOCK = re.compile(r"backbone\.(?:features\.[0-9]{1,2}|layer[0-9]\.[0-9])\.")

# The backbone of SiamFC++ in video_analyst.
_BASEMODEL = "basemodel."

MAX_TENSORS = 2**30
"""Bytes that the tensors of a file may have in float32: 40 times those of this package's networks.

Tensors may have more than their file, since steps of zero repeat stored numbers.
"""

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# A dictionary can contain itself; no trainer wraps deeper than this.
_MAX_WRAPPINGS = 4


def unwrap(checkpoint: object, path: str) -> dict[str, Tensor]:
    """The tensors of a loaded checkpoint, without the dictionaries that a trainer wrapped around them.

    Args:
        checkpoint: A state dict, or a dictionary with one under one of `WRAPPERS`, up to four levels deep.
        path: The file, for error messages.

    Raises:
        InvalidValueError: If there is no dictionary of plain tensors, or they have more than `MAX_TENSORS` bytes.
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
    size = 4 * sum(tensor.numel() for tensor in checkpoint.values())
    if size > MAX_TENSORS:
        raise InvalidValueError(path, f"tensors of at most {MAX_TENSORS} bytes in float32", f"{size} bytes")
    return dict(checkpoint)


def as_float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those of 16, 32 and 64 bit floating point in float32."""
    return {name: tensor.float() if tensor.dtype in _FLOATS else tensor for name, tensor in state.items()}


def rename(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """The same tensors under this package's names (PySOT's newer ones); ``path`` is the file, for error messages.

    Raises:
        InvalidValueError: If two tensors have the same name afterwards.
    """
    origins: dict[str, str] = {}
    for name in state:
        new_name = current_name(name)
        if new_name in origins:
            expected = f"one tensor for {list_some([new_name])}"
            raise InvalidValueError(path, expected, f"two, {list_some([origins[new_name], name])}")
        origins[new_name] = name
    return {new_name: state[name] for new_name, name in origins.items()}


def current_name(name: str) -> str:
    """This package's name of a tensor. Unknown names stay as they are, except for the known prefixes."""
    name = without_prefix(name)
    if name.startswith(_BASEMODEL):
        return name.replace(_BASEMODEL, "backbone.", 1)
    return _replace_block(name, _FEATURES)


def legacy_name(name: str) -> str:
    """The name that a tensor of this package has in PySOT's `AlexNetLegacy`: the inverse of `current_name`."""
    return _replace_block(name, _LAYERS)


def without_prefix(name: str) -> str:
    """The name of a tensor without what trainers put before it."""
    match = _PREFIXES.match(name)
    return name[match.end() :] if match else name


def keypoint_head_kind(names: Iterable[str]) -> HeadKind | None:
    """The kind of the keypoint head among tensor names, or None if there is none."""
    layers = {name.removeprefix("keypoint_head.") for name in names if name.startswith("keypoint_head.")}
    if not layers:
        return None
    if "coordinates.weight" in layers:
        return "regression"
    return "deep" if "convs.6.weight" in layers else "shallow"


def list_some(items: Iterable[str], limit: int = 8, length: int = 80) -> str:
    """The first items of a list, and how many more there are; long items are cut."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(printable(item if len(item) <= length else f"{item[:length]}…") for item in items[:limit]) + more


def _replace_block(name: str, names: Mapping[str, str]) -> str:
    match = _BLOCK.match(name)
    return names[match[0]] + name[match.end() :] if match and match[0] in names else name


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and not value.is_nested
        and value.layout == torch.strided
        and not value.is_quantized
        and value.device.type == "cpu"  # not "meta", which has no numbers
    )
