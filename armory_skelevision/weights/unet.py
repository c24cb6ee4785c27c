"""Weights of DuaLossDef's U-Net into and out of files."""

from __future__ import annotations

import os
from pathlib import Path

from armory_skelevision.networks.unet import UNETS, UNet
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import fill, read_state, write_network
from armory_skelevision.weights.metadata import UNET, UNetMetadata


def read_width(path: str | os.PathLike[str]) -> str:
    """Which of `UNETS` a weights file fits, by what it says of itself.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, or one that does not say it.
    """
    header = read_header(Path(path))
    if header.get("architecture") != UNET:
        raise ValueError(f"{path} does not say that it is a U-Net, nor of which width: give width, if it is one")
    return UNetMetadata.from_header(header).width


def load_unet(network: UNet, path: str | os.PathLike[str]) -> None:
    """Fill a U-Net with the weights of a file. Either all of them fit, or the network stays as it was.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, one that wants to run code, or missing, unexpected, misshapen or non-finite
            tensors; the message names the file and them.
    """
    fill(network, read_state(path), Path(path), f"a U-Net of width {network.width}")


def save_unet(network: UNet, path: str | os.PathLike[str], metadata: UNetMetadata) -> None:
    """Write a U-Net's weights as safetensors, kernels in float16, whole or not at all.

    Args:
        network: The network; its tensors are not changed.
        path: Ends in ``.safetensors``; missing folders are made.
        metadata: What the file shall say of itself.

    Raises:
        ValueError: For another suffix, a width that is not the network's, or NaN or infinite weights.
        OSError: If the file cannot be written.
    """
    width = UNETS[metadata.width]().width
    if width != network.width:
        raise ValueError(f"{path}: metadata says {metadata.width} ({width}), the network is {network.width}")
    write_network(network, Path(path), metadata.to_header())
