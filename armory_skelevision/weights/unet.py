"""Weights of DuaLossDef's U-Net into and out of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from armory_skelevision.networks.unet import UNETS, UNet
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import read_state
from armory_skelevision.weights.metadata import UNET, UNetMetadata
from armory_skelevision.weights.state import fill, write_network


def is_unet(path: Path) -> bool:
    """Whether a weights file is one of a U-Net, by its metadata.

    Raises:
        MissingFileError, InvalidValueError: See `checkpoints.read_header`.
    """
    return read_header(path).get("architecture") == UNET


def read_unet_metadata(path: str | os.PathLike[str]) -> UNetMetadata:
    """The metadata of a U-Net's weights file.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: For a damaged file, or one without a U-Net's metadata.
    """
    header = read_header(Path(path))
    if header.get("architecture") != UNET:
        fix = "set the width, if the file is one of a U-Net"
        raise InvalidValueError(str(path), "weights with a U-Net's metadata", "other or no metadata", fix)
    return UNetMetadata.from_header(header, str(path))


def read_width(path: str | os.PathLike[str]) -> Literal["small", "base", "large"]:
    """The width of the U-Net that a weights file fits; see `read_unet_metadata`."""
    return read_unet_metadata(path).width


def load_unet(network: UNet, path: str | os.PathLike[str]) -> None:
    """Fill a U-Net with the weights of a file: all of them, or the network stays as it was.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: For a damaged file, one that would run code, or missing, unexpected, misshapen or non-finite
            tensors. Its ``key`` is the file.
    """
    fill(network, read_state(path), Path(path), f"a U-Net of width {network.width}")


def save_unet(network: UNet, path: str | os.PathLike[str], metadata: UNetMetadata) -> None:
    """Write a U-Net's weights as safetensors, kernels in float16, whole or not at all.

    Args:
        network: The network; its tensors are not changed.
        path: Ends in ``.safetensors``; missing folders are made.
        metadata: The file's metadata, which must fit the network.

    Raises:
        InvalidValueError: For another suffix, another width than the network's, or NaN or infinite weights.
        OSError: If the file cannot be written.
    """
    width = UNETS[metadata.width]().width
    if width != network.width:
        raise InvalidValueError(f"{path}.metadata.width", f"that of the network, {network.width}", str(width))
    write_network(network, Path(path), metadata.to_header())
