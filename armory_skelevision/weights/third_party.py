"""Checkpoints of other trainings under this package's tensor names. Pure functions on dictionaries.

PySOT's tools left two namings of the same backbone, and trainers wrap the dictionary and prefix the names in their own
ways: ``state_dict`` or ``model`` around it, ``module.`` (DataParallel) or ``model.`` (Lightning) before each name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from armory_skelevision.networks.keypoint_head import Depth

WRAPPERS = ("state_dict", "model")
PREFIXES = ("module.", "model.")

# Convolution and BatchNorm of the five blocks, counted through the older checkpoints' single list of layers.
_FEATURES = {
    index: f"layer{1 + place // 2}.{place % 2}" for place, index in enumerate((0, 1, 4, 5, 8, 9, 11, 12, 14, 15))
}
_OLD_NAME = re.compile(r"backbone\.features\.(\d+)\.")

# A dictionary can hold itself; no trainer wraps deeper than this.
_MAX_WRAPPINGS = 4


def unwrap(checkpoint: object) -> dict[str, Tensor]:
    """The tensors of a loaded checkpoint, out of whatever a trainer packed around them.

    Args:
        checkpoint: A state dict, or a dictionary that holds one under one of `WRAPPERS`, also several layers deep.

    Raises:
        ValueError: If there is no dictionary of plain tensors to be found; the message names what is there instead.
    """
    for _ in range(_MAX_WRAPPINGS):
        if not isinstance(checkpoint, Mapping):
            break
        inner = [checkpoint[key] for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)]
        if not inner:
            break
        checkpoint = inner[0]
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f"expected a dictionary of tensors, got {type(checkpoint).__name__}")
    if not checkpoint:
        raise ValueError("expected a dictionary of tensors, got an empty one")
    others = [name for name, value in checkpoint.items() if not (isinstance(name, str) and _is_plain(value))]
    if others:
        raise ValueError(
            f"expected a dictionary of tensors, possibly inside {' or '.join(map(repr, WRAPPERS))}; "
            f"no plain tensors are {list_some(map(str, others))}"
        )
    return dict(checkpoint)


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under this package's names (PySOT's newer ones).

    Raises:
        ValueError: If two tensors end up under one name.
    """
    renamed: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    for name, tensor in state.items():
        new_name = current_name(name)
        if new_name in renamed:
            raise ValueError(f"{origins[new_name]!r} and {name!r} are both {new_name!r}; expected one of them")
        renamed[new_name] = tensor
        origins[new_name] = name
    return renamed


def current_name(name: str) -> str:
    """This package's name of a tensor; names that are foreign to it stay as they are, less the known prefixes."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    match = _OLD_NAME.match(name)
    if match and int(match[1]) in _FEATURES:
        return f"backbone.{_FEATURES[int(match[1])]}.{name[match.end() :]}"
    return name


def keypoint_depth(names: Iterable[str]) -> Depth | None:
    """Which keypoint head a set of tensor names belongs to."""
    layers = {name.removeprefix("keypoint_head.") for name in names if name.startswith("keypoint_head.")}
    if not layers:
        return None
    return "deep" if "convs.6.weight" in layers else "shallow"


def list_some(items: Iterable[str], limit: int = 8) -> str:
    """The first items of a list and how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
