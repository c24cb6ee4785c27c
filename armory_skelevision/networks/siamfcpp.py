"""SiamFC++ with AlexNet: an anchor-free head with a score of its own for the quality of each position's box.

Xu et al., "SiamFC++: Towards Robust and Accurate Visual Tracking with Target Estimation Guidelines", 2020. Layers and
state-dict names are those of video_analyst's ``siamfcpp_alexnet`` (github.com/MegviiDetection/video_analyst, MIT), save
that its ``basemodel`` is called ``backbone`` here.

Convention: ``cls`` is (N, 2, S, S), the logits of target and quality; ``loc`` is (N, 4, S, S), the logarithms of the
distances in pixels to the target's left, top, right and bottom side.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from armory_skelevision.networks.heads import RPNOutput, depthwise_xcorr
from armory_skelevision.networks.siamese import Backbone, SiameseNetwork

CHANNELS = 256
STRIDE = 8


class AlexNetFCpp(Backbone):
    """Images (N, 3, H, W) to features (N, 256, h, w) of stride 8: a side of 127 gives 6, 303 gives 28."""

    layers = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _block(3, 96, 11, stride=2)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = _block(96, 256, 5)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = _block(256, 384, 3)
        self.conv4 = _block(384, 384, 3)
        self.conv5 = _block(384, CHANNELS, 3, relu=False)


class SiamFCpp(SiameseNetwork):
    """The network of SiamFC++. Crops are BGR in 0..255, float32.

    Attributes:
        base_size: How much larger the side of the response map is than (instance size - exemplar size) / 8 + 1.
    """

    per_position = 1
    stride = STRIDE
    architecture = "siamfcpp_alexnet"
    base_size = -6
    backbone: AlexNetFCpp

    def __init__(self) -> None:
        super().__init__()
        self.backbone = AlexNetFCpp()
        self.head = QualityHead()
        self.r_z_k, self.c_z_k, self.r_x, self.c_x = (_block(CHANNELS, CHANNELS, 3, relu=False) for _ in range(4))

    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 256, 6, 6) with search features (N, 256, h, w); 28 gives S = 17."""
        cls = depthwise_xcorr(self.c_x(x_features), self.c_z_k(z_features))
        loc = depthwise_xcorr(self.r_x(x_features), self.r_z_k(z_features))
        output: RPNOutput = self.head(cls, loc)
        return output


class QualityHead(nn.Module):
    """Filters the two correlations to classification, quality and distances."""

    def __init__(self) -> None:
        super().__init__()
        self.bi = nn.Parameter(torch.tensor(0.0))
        self.si = nn.Parameter(torch.tensor(1.0))
        self.cls_p5_conv1, self.bbox_p5_conv1 = (_block(CHANNELS, CHANNELS, 3, norm=False) for _ in range(2))
        self.cls_p5_conv2, self.bbox_p5_conv2 = (_block(CHANNELS, CHANNELS, 3, norm=False) for _ in range(2))
        self.cls_p5_conv3, self.bbox_p5_conv3 = (_block(CHANNELS, CHANNELS, 3) for _ in range(2))
        self.cls_score_p5, self.ctr_score_p5 = (_block(CHANNELS, 1, 1, relu=False) for _ in range(2))
        self.bbox_offsets_p5 = _block(CHANNELS, 4, 1, relu=False)

    def forward(self, cls: Tensor, loc: Tensor) -> RPNOutput:
        """Correlations (N, 256, s, s), s = S + 6, to the answer."""
        cls = self.cls_p5_conv3(self.cls_p5_conv2(self.cls_p5_conv1(cls)))
        loc = self.bbox_p5_conv3(self.bbox_p5_conv2(self.bbox_p5_conv1(loc)))
        scores = torch.cat([self.cls_score_p5(cls), self.ctr_score_p5(cls)], dim=1)
        # The distances are in strides, exp(s * found + b) * 8.
        return RPNOutput(scores, self.si * self.bbox_offsets_p5(loc) + self.bi + math.log(STRIDE))


def _block(
    inputs: int, outputs: int, size: int, stride: int = 1, *, norm: bool = True, relu: bool = True
) -> nn.Sequential:
    layers: dict[str, nn.Module] = {"conv": nn.Conv2d(inputs, outputs, size, stride)}
    if norm:
        layers["bn"] = nn.BatchNorm2d(outputs)
    if relu:
        layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(OrderedDict(layers))
