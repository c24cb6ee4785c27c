"""NanoTrack: a small mobile backbone with an anchor-free head, and its published weights.

By Honglin Chu (github.com/HonglinChu/SiamTrackers, folder NanoTrack, Apache 2.0); the head is after SiamBAN (Chen et
al. 2020).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.networks.mobilenet import MobileNetV3
from armory_skelevision.networks.point_heads import PointHeadV2, PointHeadV3
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.validation import check_value

Version = Literal[2, 3]


class NanoTrack(SiameseNetwork):
    """The network of NanoTrack. Crops are BGR in 0..255, float32.

    Args:
        version: 2 or 3, the published versions.

    Raises:
        InvalidValueError: For another version.
    """

    per_position = 1
    stride = 16

    def __init__(self, version: Version = 3) -> None:
        super().__init__()
        check_value("version", version, Version)
        self.version = version
        self.backbone = MobileNetV3(blocks=8 if version == 2 else 9)
        self.ban_head = PointHeadV2() if version == 2 else PointHeadV3()

    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, C, 8, 8) with search features (N, C, s, s), as in `point_heads`."""
        output: RPNOutput = self.ban_head(z_features, x_features)
        return output
