"""The ResNet-50 of SiamRPN++: the last two stages keep the stride at 8 and widen their kernels by dilation instead.

He et al., "Deep Residual Learning for Image Recognition", 2016; Li et al., "SiamRPN++", 2019, section 3.2. Paddings,
shortcuts and state-dict names are those of PySOT's ``resnet50`` (Apache 2.0), so that its checkpoints load: unlike the
usual ResNet-50, it has no padding where the stride is 2, and 3 x 3 kernels in all shortcuts but the first.
"""

from __future__ import annotations

from torch import Tensor, nn

from armory_skelevision.networks.siamese import Backbone

# Channels of a block's output per channel inside it.
EXPANSION = 4


class ResNet50(Backbone):
    """Images (N, 3, H, W) to features (N, 2048, h, w) of stride 8: a side of 127 gives 15, 255 gives 31.

    The features of ``layer2`` and ``layer3`` have the same side, with 512 and 1024 channels.
    """

    layers = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, 3)
        self.layer2 = _stage(256, 128, 4, stride=2)
        self.layer3 = _stage(512, 256, 6, dilation=2)
        self.layer4 = _stage(1024, 512, 3, dilation=4)


class Bottleneck(nn.Module):
    """Reduce the channels, filter, expand them, and add the input.

    Args:
        inputs: Channels of the input.
        width: Channels inside; the output has four times as many.
        stride: Of the filter; with 2 it has no padding.
        dilation: Of the filter.
        shortcut: What gives the input the output's shape; None where it has that shape.
    """

    def __init__(
        self, inputs: int, width: int, stride: int = 1, dilation: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _filter(width, width, stride, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, EXPANSION * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(EXPANSION * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, inputs, h, w) to (N, 4 * width, h / stride, w / stride)."""
        changed = self.relu(self.bn1(self.conv1(features)))
        changed = self.relu(self.bn2(self.conv2(changed)))
        changed = self.bn3(self.conv3(changed))
        added: Tensor = self.relu(changed + (features if self.downsample is None else self.downsample(features)))
        return added


def _stage(inputs: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    outputs = EXPANSION * width
    # PySOT dilates the first block of a stage half as much as the others.
    halved = max(dilation // 2, 1)
    plain = stride == dilation == 1
    wide = nn.Conv2d(inputs, outputs, 1, bias=False) if plain else _filter(inputs, outputs, stride, halved)
    first = Bottleneck(inputs, width, stride, halved, nn.Sequential(wide, nn.BatchNorm2d(outputs)))
    return nn.Sequential(first, *(Bottleneck(outputs, width, dilation=dilation) for _ in range(blocks - 1)))


def _filter(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Conv2d:
    padding = dilation if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, 3, stride, padding, dilation, bias=False)
