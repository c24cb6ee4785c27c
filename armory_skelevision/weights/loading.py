"""Weights into and out of trackers' networks. Strict: a tensor that does not fit is an error, never left out.

Reads ``.safetensors`` (with `Metadata` in the header) and PyTorch checkpoints ``.pth``, ``.pt``, ``.ckpt`` of PySOT,
Lightning and plain ``torch.save``; writes ``.safetensors``. All that reads a file raises the errors of `checkpoints`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.keypoint_head import Depth
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import read_checkpoint, read_header
from armory_skelevision.weights.metadata import ARCHITECTURE, UNET, Metadata
from armory_skelevision.weights.state import fill, write_network
from armory_skelevision.weights.third_party import keypoint_depth, rename, unwrap


def load_weights(network: SiamRPN, path: str | os.PathLike[str]) -> Metadata | None:
    """Fill a SiamRPN with the weights of a file: all of them, or the network stays as it was.

    Args:
        network: With the keypoint head that the file holds.
        path: ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt``.

    Returns:
        The file's metadata; None for a file without (PyTorch checkpoints).

    Raises:
        InvalidValueError: Also for another architecture or keypoint head, or missing, unexpected, misshapen or
            non-finite tensors. Its ``key`` is the file.
    """
    path = Path(path)
    metadata, state = read_metadata(path), read_state(path)
    _check_architecture(network, metadata, state, path)
    fill(network, state, path)
    return metadata


def load_siamrpn(path: str | os.PathLike[str]) -> SiamRPN:
    """The SiamRPN of a weights file, with the keypoint head that the file holds, if any; see `load_weights`."""
    network = SiamRPN(read_keypoint_depth(path))
    load_weights(network, path)
    return network


def load_nanotrack(network: NanoTrack, path: str | os.PathLike[str]) -> None:
    """Fill a NanoTrack with the weights of a file: all of them, or the network stays as it was.

    Args:
        network: Of the version that the file holds.
        path: ``nanotrackv2.pth`` or ``nanotrackv3.pth`` as published, or another state dict of such a network.

    Raises:
        InvalidValueError: Also for missing, unexpected, misshapen or non-finite tensors. Its ``key`` is the file.
    """
    path = Path(path)
    tensors = unwrap(read_checkpoint(path), str(path))
    # The checkpoints hold a layer between backbone and head that NanoTrack's own code never runs.
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith("neck.")}
    fill(network, state, path, f"NanoTrack version {network.version}")


def save_weights(network: SiamRPN, path: str | os.PathLike[str], metadata: Metadata, half: bool = True) -> None:
    """Write a SiamRPN's weights as safetensors; see `state.write_network` for arguments and errors.

    Raises:
        InvalidValueError: Also if the metadata do not fit the network.
    """
    given, held = (metadata.architecture, metadata.keypoint_head), (ARCHITECTURE, network.keypoint_depth)
    if given != held:
        raise InvalidValueError(f"{path}.metadata", _describe_network(*held), _describe_network(*given))
    write_network(network, Path(path), metadata.to_header(), half)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a weights file under this package's names, on the CPU, floating-point ones as float32."""
    path = Path(path)
    state = rename(unwrap(read_checkpoint(path), str(path)), str(path))
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def read_metadata(path: str | os.PathLike[str]) -> Metadata | None:
    """The metadata of a tracker's weights file; None for a file without.

    Raises:
        InvalidValueError: Also for unknown, missing or wrong metadata, or weights of a U-Net.
    """
    header = read_header(Path(path))
    if not header:
        return None
    if header.get("architecture") == UNET:
        raise InvalidValueError(str(path), "weights of a tracker", "weights of a U-Net (DuaLossDef)")
    return Metadata.from_header(header, str(path))


def read_keypoint_depth(path: str | os.PathLike[str]) -> Depth | None:
    """The keypoint head in a tracker's weights file, by its metadata, else its tensors; None for a single-task one."""
    metadata = read_metadata(path)
    return metadata.keypoint_head if metadata is not None else keypoint_depth(read_state(path))


def _check_architecture(network: SiamRPN, metadata: Metadata | None, state: Mapping[str, Tensor], path: Path) -> None:
    architecture = metadata.architecture if metadata is not None else ARCHITECTURE
    held = metadata.keypoint_head if metadata is not None else keypoint_depth(state)
    if (architecture, held) == (ARCHITECTURE, network.keypoint_depth):
        return
    fix = "load it with siamrpn_stl" if held is None else f'load it with siamrpn_mtl and keypoint_head="{held}"'
    raise InvalidValueError(
        str(path),
        f"weights of {_describe_network(ARCHITECTURE, network.keypoint_depth)}",
        _describe_network(architecture, held),
        fix if architecture == ARCHITECTURE else "",
    )


def _describe_network(architecture: str, head: Depth | None) -> str:
    return f"{architecture} with {'no' if head is None else f'a {head}'} keypoint head"
