"""NanoTrack's published weights into its network."""

from __future__ import annotations

import os
from pathlib import Path

from armory_skelevision.networks.nanotrack import NanoTrack
from armory_skelevision.weights.checkpoints import read_checkpoint
from armory_skelevision.weights.state import fill
from armory_skelevision.weights.third_party import unwrap

# The checkpoints hold a layer between backbone and head that NanoTrack's own code never runs.
_UNUSED = "neck."


def load_nanotrack(network: NanoTrack, path: str | os.PathLike[str]) -> None:
    """Fill a NanoTrack with the weights of a file: all of them, or the network stays as it was.

    Args:
        network: Of the version that the file holds.
        path: ``nanotrackv2.pth`` or ``nanotrackv3.pth`` as published, or another state dict of such a network.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: For a damaged file, one that would run code, or missing, unexpected, misshapen or non-finite
            tensors. Its ``key`` is the file.
    """
    path = Path(path)
    tensors = unwrap(read_checkpoint(path), str(path))
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
    fill(network, state, path, f"NanoTrack version {network.version}")
