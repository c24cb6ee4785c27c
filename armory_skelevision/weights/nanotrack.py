"""NanoTrack's published weights into its network."""

from __future__ import annotations

import os
from pathlib import Path

from armory_skelevision.networks.nanotrack import NanoTrack
from armory_skelevision.weights.checkpoints import read_checkpoint
from armory_skelevision.weights.loading import fill
from armory_skelevision.weights.third_party import unwrap

# The checkpoints hold a layer between backbone and head that NanoTrack itself never runs.
_IDLE = "neck."


def load_nanotrack(network: NanoTrack, path: str | os.PathLike[str]) -> None:
    """Fill a network with the weights of a file. Either all of them fit, or the network stays as it was.

    Args:
        network: Of the version that the file holds.
        path: ``nanotrackv2.pth`` or ``nanotrackv3.pth`` as published, or another state dict of such a network.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a damaged file, one that wants to run code, or missing, unexpected, misshapen or non-finite
            tensors; the message names the file and them.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    try:
        tensors = unwrap(checkpoint)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith(_IDLE)}
    fill(network, state, path, f"NanoTrack version {network.version}")
