"""The MobileNetV3 of NanoTrack: the small variant, whose last blocks keep the stride at 16.

Howard et al., "Searching for MobileNetV3", 2019, table 2. Widths, strides and state-dict names are those of NanoTrack
(github.com/HonglinChu/SiamTrackers, Apache 2.0), so that its checkpoints load.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from armory_skelevision.networks.siamese import Backbone

# Channels of the first convolution, which halves the side.
STEM = 16


class Block(NamedTuple):
    """One inverted residual block."""

    kernel: int
    expanded: int
    """Channels inside the block."""
    outputs: int
    attention: bool
    """Whether the channels are weighted."""
    swish: bool
    """Hard swish, otherwise ReLU."""
    stride: int


BLOCKS = (
    Block(3, 16, 16, attention=True, swish=False, stride=2),
    Block(3, 72, 24, attention=False, swish=False, stride=2),
    Block(3, 88, 24, attention=False, swish=False, stride=1),
    Block(5, 96, 40, attention=True, swish=True, stride=2),
    Block(5, 240, 40, attention=True, swish=True, stride=1),
    Block(5, 240, 40, attention=True, swish=True, stride=1),
    Block(5, 120, 48, attention=True, swish=True, stride=1),
    Block(5, 144, 48, attention=True, swish=True, stride=1),
    Block(5, 288, 96, attention=True, swish=True, stride=1),
)


class MobileNetV3(Backbone):
    """Images to features of stride 16: a side of 127 gives 8, of 255 gives 16.

    Args:
        blocks: How many of `BLOCKS`; 8 give 48 channels, all 9 give 96.
    """

    def __init__(self, blocks: int = len(BLOCKS)) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(3, STEM, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(STEM), nn.Hardswish()
        )
        widths = [STEM, *(block.outputs for block in BLOCKS)]
        residuals = [_block(width, block) for width, block in zip(widths, BLOCKS[:blocks], strict=False)]
        self.features = nn.Sequential(stem, *residuals)
        self.channels = widths[blocks]
        self.layers = tuple(f"features.{index}" for index in range(blocks + 1))


class InvertedResidual(nn.Module):
    """Layers that expand the channels, filter each, and project them; with a residual connection where shapes allow.

    Args:
        layers: Run in order.
        is_residual: Whether the input is added to their output.
    """

    def __init__(self, layers: Iterable[nn.Module], is_residual: bool) -> None:
        super().__init__()
        self.is_residual = is_residual
        self.conv = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        changed: Tensor = self.conv(features)
        return features + changed if self.is_residual else changed


class ChannelAttention(nn.Module):
    """Weights each channel by the means of all channels (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, (channels // 4 + 4) // 8 * 8)  # a quarter, as the nearest multiple of 8
        self.fc = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Hardsigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """Weighted features, (N, channels, h, w) in and out."""
        weights: Tensor = self.fc(features.mean(dim=(2, 3)))
        return features * weights[:, :, None, None]


def pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution that mixes the channels of each position, and its normalisation."""
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


def depthwise(channels: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> list[nn.Module]:
    """A convolution that filters each channel on its own, and its normalisation."""
    convolution = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [convolution, nn.BatchNorm2d(channels)]


def _block(inputs: int, block: Block) -> InvertedResidual:
    # In place, as no other layer needs what goes in: an eighth of the time of a frame was new memory.
    activation = partial(nn.Hardswish if block.swish else nn.ReLU, inplace=True)
    widen = [*pointwise(inputs, block.expanded), activation()] if block.expanded != inputs else []
    weigh = ChannelAttention(block.expanded) if block.attention else nn.Identity()
    layers = [
        *widen,
        *depthwise(block.expanded, block.kernel, block.stride, block.kernel // 2),
        # A block that does not expand weights the channels after the activation, the others before.
        *([weigh, activation()] if widen else [activation(), weigh]),
        *pointwise(block.expanded, block.outputs),
    ]
    return InvertedResidual(layers, is_residual=block.stride == 1 and inputs == block.outputs)
