"""The network that a weights file is for, by its metadata, else by the names of its tensors, with the weights in it."""

from __future__ import annotations

from pathlib import Path

from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.unet import UNETS, UNet
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import load_nanotrack, load_siamrpn, nanotrack_version, read_names
from armory_skelevision.weights.metadata import UNET
from armory_skelevision.weights.unet import load_unet, read_unet_metadata


def load_network(path: Path) -> SiamRPN | NanoTrack | UNet:
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
    version = None if header else nanotrack_version(read_names(path))
    if version is None:
        return load_siamrpn(path)
    nanotrack = NanoTrack(version)
    load_nanotrack(nanotrack, path)
    return nanotrack
