"""SiamRPN++: deep backbones, whose features of three levels are compared and whose answers are averaged.

Li et al., "SiamRPN++: Evolution of Siamese Visual Tracking with Very Deep Networks", 2019. Layers and state-dict names
are those of PySOT's ``siamrpn_r50_l234_dwxcorr`` and ``siamrpn_mobilev2_l234_dwxcorr`` (Apache 2.0), so that its
checkpoints load.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from armory_skelevision.networks.heads import MultiRPN, RPNOutput
from armory_skelevision.networks.mobilenet_v2 import MobileNetV2
from armory_skelevision.networks.resnet import ResNet50
from armory_skelevision.networks.siamrpn import AnchorNetwork
from armory_skelevision.validation import check_value

Architecture = Literal["siamrpn_r50_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_otb", "siamrpn_mobilev2_l234_dwxcorr"]

# Channels of each level behind its adjustment.
CHANNELS = 256
# Side of a template's features, the middle of what the backbone finds, and from which side on they are a search crop's.
TEMPLATE_SIDE, SEARCH_SIDE = 7, 20

# The layers that serve as levels, and their channels.
RESNET_LEVELS = {"layer2": 512, "layer3": 1024, "layer4": 2048}
MOBILENET_LEVELS = {"layer3": 44, "layer5": 134, "layer7": 448}


class SiamRPNpp(AnchorNetwork):
    """The network of SiamRPN++. Crops are BGR in 0..255, float32; templates have at most 166 pixels a side.

    Args:
        architecture: PySOT's name of it. "siamrpn_r50_l234_dwxcorr" has learned weights for the levels' answers, the
            others have not.

    Raises:
        InvalidValueError: For another architecture.
    """

    base_size = 8

    def __init__(self, architecture: Architecture = "siamrpn_r50_l234_dwxcorr") -> None:
        super().__init__()
        check_value("architecture", architecture, Architecture)
        self.architecture = architecture
        is_mobile = architecture == "siamrpn_mobilev2_l234_dwxcorr"
        self.levels = MOBILENET_LEVELS if is_mobile else RESNET_LEVELS
        self.backbone = MobileNetV2() if is_mobile else ResNet50()
        self.neck = Neck(*self.levels.values())
        self.rpn_head = MultiRPN(self.per_position, CHANNELS, weighted=architecture == "siamrpn_r50_l234_dwxcorr")
        self.keypoint_head = None
        # Measured, and a tenth more.
        self.graph_bytes_per_pixel = 3900 if is_mobile else 2200

    def embed(self, crops: Tensor) -> Tensor:
        """Features (N, 768, h, w), the three levels one after the other, of template or search crops (N, 3, H, W)."""
        features: Tensor = self.neck(self.backbone.levels(crops.to(next(self.parameters()).dtype), list(self.levels)))
        return features

    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 768, 7, 7) with search features (N, 768, h, w); 31 gives S = 25."""
        output: RPNOutput = self.rpn_head(z_features, x_features)
        return output


class Neck(nn.Module):
    """Gives three levels of features the same number of channels, and takes the middle of a template's.

    Args:
        channels: Channels of each level.
    """

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.downsample2, self.downsample3, self.downsample4 = map(AdjustLayer, channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Three features (N, C, h, w) to (N, 768, h, w), or (N, 768, 7, 7) for those of a template."""
        adjust = (self.downsample2, self.downsample3, self.downsample4)
        return torch.cat([layer(features) for layer, features in zip(adjust, levels, strict=True)], dim=1)


class AdjustLayer(nn.Module):
    """The adjustment of one level."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.downsample = nn.Sequential(nn.Conv2d(inputs, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, inputs, h, w) to (N, 256, h, w), or (N, 256, 7, 7) if the side is less than 20."""
        adjusted: Tensor = self.downsample(features)
        side = features.shape[-1]
        if side >= SEARCH_SIDE:
            return adjusted
        first = (side - TEMPLATE_SIDE) // 2
        middle = slice(first, first + TEMPLATE_SIDE)
        return adjusted[:, :, middle, middle]
