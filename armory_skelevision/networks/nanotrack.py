"""NanoTrack: a small mobile backbone with an anchor-free head, and its published weights.

By Honglin Chu (github.com/HonglinChu/SiamTrackers, folder NanoTrack, Apache 2.0); the head is after SiamBAN (Chen et
al. 2020).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from torch import Tensor

from armory_skelevision.networks.checkpoints import read_checkpoint
from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.networks.mobilenet import MobileNetV3
from armory_skelevision.networks.naming import unwrap
from armory_skelevision.networks.point_heads import PointHeadV2, PointHeadV3
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.networks.weights import fill

Version = Literal[2, 3]

# The checkpoints hold a layer between backbone and head that NanoTrack itself never runs.
_IDLE = "neck."


class NanoTrack(SiameseNetwork):
    """The network of NanoTrack. Crops are BGR in 0..255, float32.

    Args:
        version: 2 or 3, of the published ones.

    Raises:
        ValueError: For another version.
    """

    def __init__(self, version: Version = 3) -> None:
        super().__init__()
        if version not in (2, 3):
            raise ValueError(f"version: expected 2 or 3, got {version!r}")
        self.version = version
        self.backbone = MobileNetV3(blocks=8 if version == 2 else 9)
        self.ban_head = PointHeadV2() if version == 2 else PointHeadV3()

    def compare(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, C, 8, 8) with search features (N, C, s, s); C is 48 or 96.

        ``loc`` are the logarithms of the distances in pixels to the target's left, top, right and bottom side.
        """
        output: RPNOutput = self.ban_head(z_features, x_features)
        return output


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
