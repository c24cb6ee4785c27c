"""The network that a weights file is for, by its metadata, else by the names of its tensors, with the weights in it."""

from __future__ import annotations

from pathlib import Path

from armory_skelevision.networks import NanoTrack, SiameseNetwork
from armory_skelevision.networks.unet import UNETS, UNet
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import (
    load_nanotrack,
    load_siamese,
    nanotrack_version,
    read_names,
    read_state,
)
from armory_skelevision.weights.metadata import UNET
from armory_skelevision.weights.unet import load_unet, read_unet_metadata


def load_network(path: Path) -> SiameseNetwork | UNet:
    """The network of a weights file.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If a tracker or a defense could not be loaded from it: it is damaged or of another format,
            its metadata or tensors are wrong, or its network answers with NaN or infinity.
    """
    header = read_header(path)
    if header.get("architecture") == UNET:
        unet: UNet = UNETS[read_unet_metadata(path).width]()
        load_unet(unet, path)
        return unet
    names = [] if header else read_names(path)
    if "gate.weight" in names:
        return _load_unet(path)
    version = nanotrack_version(names)
    if version is None:
        return load_siamese(path)
    nanotrack = NanoTrack(version)
    load_nanotrack(nanotrack, path)
    return nanotrack


def _load_unet(path: Path) -> UNet:
    """The U-Net of a file without metadata, of the width that most of its tensors have."""
    shapes = {(name, tensor.shape) for name, tensor in read_state(path).items()}
    unets: list[UNet] = [make() for make in UNETS.values()]
    fitting = [{(name, tensor.shape) for name, tensor in unet.state_dict().items()} & shapes for unet in unets]
    unet = max(zip(fitting, unets, strict=True), key=lambda pair: len(pair[0]))[1]
    load_unet(unet, path)
    return unet
