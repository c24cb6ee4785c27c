"""The AlexNet of SiamRPN: five convolutional blocks without padding (names and order of layers as in PySOT).

Li et al., "High Performance Visual Tracking with Siamese Region Proposal Network", 2018. Blocks and
state-dict names are those of PySOT's ``siamrpn_alex_dwxcorr`` (Apache 2.0), so that its checkpoints load.
"""

from __future__ import annotations

from torch import nn

from armory_skelevision.networks.siamese import Backbone


class AlexNet(Backbone):
    """Images (N, 3, H, W) to features (N, 256, h, w) of stride 8: a side of 127 gives 6, 255 gives 22, 287 gives 26."""

    layers = ("layer1", "layer2", "layer3", "layer4", "layer5")

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = _block(3, 96, 11, stride=2, pool=True)
        self.layer2 = _block(96, 256, 5, pool=True)
        self.layer3 = _block(256, 384, 3)
        self.layer4 = _block(384, 384, 3)
        self.layer5 = _block(384, 256, 3, relu=False)


def _block(
    inputs: int, outputs: int, size: int, stride: int = 1, *, pool: bool = False, relu: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, stride), nn.BatchNorm2d(outputs)]
    if pool:
        layers.append(nn.MaxPool2d(3, stride=2))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
