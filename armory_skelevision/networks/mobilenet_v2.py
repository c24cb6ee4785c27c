"""The MobileNetV2 of SiamRPN++: 1.4 times as wide as usual, its last stages dilated in place of a stride.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table 2. Strides, paddings and
state-dict names are those of PySOT's ``mobilenetv2`` (Apache 2.0), so that its checkpoints load: there is no padding
where the stride is 2, and the first block of a dilated stage is dilated half as much.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from armory_skelevision.networks.mobilenet import InvertedResidual, depthwise, pointwise
from armory_skelevision.networks.siamese import Backbone

WIDTH = 1.4
# Channels of the first convolution at width 1.
STEM = 32


class Stage(NamedTuple):
    """Some blocks of the same width, of which the first has the stride."""

    expansion: int
    """Channels inside a block per channel of its input."""
    outputs: int
    """Channels at width 1."""
    blocks: int
    stride: int
    dilation: int


STAGES = (
    Stage(1, 16, 1, 1, 1),
    Stage(6, 24, 2, 2, 1),
    Stage(6, 32, 3, 2, 1),
    Stage(6, 64, 4, 1, 2),
    Stage(6, 96, 3, 1, 2),
    Stage(6, 160, 3, 1, 4),
    Stage(6, 320, 1, 1, 4),
)


class MobileNetV2(Backbone):
    """Images (N, 3, H, W) to features (N, 448, h, w) of stride 8: a side of 127 gives 15, 255 gives 31.

    The features of ``layer3`` and ``layer5`` have the same side, with 44 and 134 channels.
    """

    layers = tuple(f"layer{index}" for index in range(len(STAGES) + 1))

    def __init__(self) -> None:
        super().__init__()
        inputs = int(WIDTH * STEM)
        self.layer0 = nn.Sequential(
            nn.Conv2d(3, inputs, 3, stride=2, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6(inplace=True)
        )
        previous = 1
        for name, stage in zip(self.layers[1:], STAGES, strict=True):
            outputs = int(WIDTH * stage.outputs)
            first = stage.dilation if stage.dilation == previous else max(stage.dilation // 2, 1)
            blocks = [_block(inputs, outputs, stage.expansion, stage.stride, first)]
            blocks += [_block(outputs, outputs, stage.expansion, 1, stage.dilation) for _ in range(stage.blocks - 1)]
            self.add_module(name, nn.Sequential(*blocks))
            inputs, previous = outputs, stage.dilation


def _block(inputs: int, outputs: int, expansion: int, stride: int, dilation: int) -> InvertedResidual:
    expanded = expansion * inputs
    padding = dilation if stride == 1 else 0
    layers = [
        *pointwise(inputs, expanded),
        nn.ReLU6(inplace=True),
        *depthwise(expanded, 3, stride, padding, dilation),
        nn.ReLU6(inplace=True),
        *pointwise(expanded, outputs),
    ]
    return InvertedResidual(layers, is_residual=stride == 1 and inputs == outputs)
