"""Weights of DuaLossDef's U-Net into and out of files. All that reads a file raises the errors of `checkpoints`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from armory_skelevision.io import printable
from armory_skelevision.networks.unet import UNETS, UNet
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import read_state
from armory_skelevision.weights.metadata import UNET, UNetMetadata
from armory_skelevision.weights.state import fill, write_network


def read_unet_metadata(path: str | os.PathLike[str]) -> UNetMetadata:
    """The metadata of a U-Net's weights file.

    Raises:
        InvalidValueError: Also for a file without a U-Net's metadata.
    """
    header = read_header(Path(path))
    if header.get("architecture") != UNET:
        fix = "set the width, if the file is one of a U-Net"
        raise InvalidValueError(printable(path), "weights with a U-Net's metadata", "other or no metadata", fix)
    return UNetMetadata.from_header(header, printable(path))


def read_unet(path: str | os.PathLike[str], width: str | None = None) -> UNet:
    """The U-Net of a weights file, with its gate if the file has one.

    Args:
        path: The file.
        width: "small", "base" or "large"; None reads it from the file's metadata.

    Raises:
        InvalidValueError: As `read_unet_metadata` and `load_unet`.
    """
    make = UNETS[width or read_unet_metadata(path).width]
    network = make(gated=any(name.startswith("gate.") for name in read_state(path)))
    load_unet(network, path)
    return network


def load_unet(network: UNet, path: str | os.PathLike[str]) -> None:
    """Fill a U-Net with the weights of a file: all of them, or the network stays as it was.

    Raises:
        InvalidValueError: Also for missing, unexpected, misshapen or non-finite tensors, and for finite ones with which
            the network answers NaN or infinity to a fixed input. Its ``key`` is the file.
    """
    fill(network, read_state(path), Path(path), f"a U-Net of width {network.width}", _answer)


def save_unet(network: UNet, path: str | os.PathLike[str], metadata: UNetMetadata) -> None:
    """Write a U-Net's weights as safetensors, kernels in float16; see `state.write_network` for arguments and errors.

    Raises:
        InvalidValueError: Also if the metadata have another width than the network.
    """
    width = UNETS[metadata.width]().width
    if width != network.width:
        raise InvalidValueError(
            f"{printable(path)}.metadata.width", f"that of the network, {network.width}", str(width)
        )
    write_network(network, Path(path), metadata.to_header())


def _answer(network: UNet) -> Iterable[Tensor]:
    """The correction of an image of noise, the same each time."""
    yield network(torch.rand(1, 3, 127, 127, generator=torch.Generator().manual_seed(0)))
