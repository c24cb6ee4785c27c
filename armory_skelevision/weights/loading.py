"""Weights into and out of a network. Strict: what does not fit is an error that names it, never left out.

Reads ``.safetensors`` (with `Metadata` in the header) and PyTorch checkpoints ``.pth``, ``.pt``, ``.ckpt`` of PySOT,
Lightning and plain ``torch.save``; writes ``.safetensors``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from armory_skelevision.networks.siamrpn import SiamRPN
from armory_skelevision.weights.checkpoints import read_checkpoint, read_header, write_checkpoint
from armory_skelevision.weights.metadata import ARCHITECTURE, UNET, Metadata
from armory_skelevision.weights.third_party import keypoint_depth, list_some, rename, unwrap

__all__ = ["Metadata", "load_weights", "read_metadata", "read_state", "save_weights"]

# How much of a tensor's norm float16 may cost. Ordinary rounding takes 3e-4; more means values outside its range.
_HALF_TOLERANCE = 1e-3


def load_weights(network: SiamRPN, path: str | os.PathLike[str]) -> Metadata | None:
    """Fill a SiamRPN with the weights of a file. Either all of them fit, or the network stays as it was.

    Args:
        network: Made with the keypoint head that the file holds.
        path: ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt``.

    Returns:
        What the file says of itself; None for a file that says nothing (PyTorch checkpoints).

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, one that wants to run code, one of another architecture or keypoint head, or
            missing, unexpected, misshapen or non-finite tensors; the message names the file and them.
    """
    path = Path(path)
    metadata = read_metadata(path)
    state = read_state(path)
    _check_architecture(network, metadata, state, path)
    fill(network, state, path)
    return metadata


def save_weights(network: SiamRPN, path: str | os.PathLike[str], metadata: Metadata, half: bool = True) -> None:
    """Write a network's weights as safetensors, whole or not at all.

    Args:
        network: The network; its tensors are not changed.
        path: Ends in ``.safetensors``; missing folders are made.
        metadata: What the file shall say of itself.
        half: Store convolution kernels in float16. Biases and all of BatchNorm (whose variances leave float16's
            range) stay in float32, as does a kernel whose values are too small or large.

    Raises:
        ValueError: For another suffix, metadata that is not the network's, or NaN or infinite weights.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if (metadata.architecture, metadata.keypoint_head) != (ARCHITECTURE, network.keypoint_depth):
        raise ValueError(
            f"{path}: metadata says {metadata.architecture} with keypoint head {metadata.keypoint_head}, "
            f"the network is {ARCHITECTURE} with keypoint head {network.keypoint_depth}"
        )
    write_network(network, path, metadata.to_header(), half)


def write_network(network: nn.Module, path: Path, header: Mapping[str, str], half: bool = True) -> None:
    """Write any network's weights as safetensors; see `save_weights`.

    Raises:
        ValueError: For another suffix, or NaN or infinite weights.
        OSError: If the file cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: expected a name that ends in .safetensors")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    problems = find_problems(state, state)
    if problems:
        raise ValueError(f"{path} is not written: " + "; ".join(problems))
    write_checkpoint({name: _compact(tensor) if half else tensor for name, tensor in state.items()}, header, path)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a weights file under this package's names, on the CPU, floating ones as float32.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, one that wants to run code, or one without a dictionary of tensors.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    try:
        state = rename(unwrap(checkpoint))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def read_metadata(path: str | os.PathLike[str]) -> Metadata | None:
    """What a weights file says of itself; None where it says nothing.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, or metadata with unknown or missing keys.
    """
    path = Path(path)
    header = read_header(path)
    if not header:
        return None
    if header.get("architecture") == UNET:
        raise ValueError(f"{path} holds weights of a U-Net (DuaLossDef), which is no tracker")
    try:
        return Metadata.from_header(header)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path, wanted: str = "the network") -> None:
    """Put tensors that were read from ``path`` into a network: all of them, or none.

    Raises:
        ValueError: If they do not fit; the message names the file, ``wanted`` and the tensors.
    """
    expected = network.state_dict()
    problems = find_problems(expected, state)
    if problems:
        raise ValueError(f"{path} does not fit {wanted}: " + "; ".join(problems))
    # Old checkpoints lack these counters, and nothing here reads them.
    counters = {name: tensor for name, tensor in expected.items() if _is_counter(name)}
    network.load_state_dict({**counters, **state})


def find_problems(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """What keeps a state dict from being loaded in place of another, one line per kind; empty if nothing does."""
    shared = [name for name in expected if name in state]
    kinds = {
        "missing": [name for name in expected if name not in state and not _is_counter(name)],
        "unexpected": sorted(set(state) - set(expected)),
        "misshapen": [
            f"{name} (expected {_describe(expected[name])}, got {_describe(state[name])})"
            for name in shared
            if _describe(expected[name]) != _describe(state[name])
        ],
        "NaN or infinite": [name for name in shared if not torch.isfinite(state[name]).all()],
        "negative variances": [name for name in shared if name.endswith("running_var") and (state[name] < 0).any()],
    }
    return [f"{len(names)} {kind}: {list_some(names)}" for kind, names in kinds.items() if names]


def _check_architecture(network: SiamRPN, metadata: Metadata | None, state: Mapping[str, Tensor], path: Path) -> None:
    if metadata is not None and metadata.architecture != ARCHITECTURE:
        raise ValueError(
            f"{path} holds weights of {metadata.architecture!r}; the network asked for is {ARCHITECTURE!r}"
        )
    held = metadata.keypoint_head if metadata is not None else keypoint_depth(state)
    wanted = network.keypoint_depth
    if held == wanted:
        return
    asked = f"the network asked for has {'none' if wanted is None else f'a {wanted} one'}"
    if held is None:
        raise ValueError(f"{path} holds a single-task network (no keypoint head), {asked}: load it with siamrpn_stl")
    raise ValueError(
        f"{path} holds a multi-task network (keypoint head {held}), {asked}: "
        f'load it with siamrpn_mtl and keypoint_head="{held}"'
    )


def _compact(tensor: Tensor) -> Tensor:
    if tensor.dim() < 2:
        return tensor
    half = tensor.half()
    return half if (half.float() - tensor).norm() <= _HALF_TOLERANCE * tensor.norm() else tensor


def _describe(tensor: Tensor) -> str:
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {tuple(tensor.shape)}"


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
