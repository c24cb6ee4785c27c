"""The anchor-free heads of NanoTrack: two branches that correlate template and search features and filter the result.

Chen et al., "Siamese Box Adaptive Network for Visual Tracking", 2020 (the branches and their outputs); Yan et al.,
"Alpha-Refine", 2021, section 3.2 (pixelwise correlation). Layers and state-dict names are those of NanoTrack's
``ban_v2`` and ``ban_v3`` (github.com/HonglinChu/SiamTrackers, Apache 2.0), so that its checkpoints load.

Convention: ``cls`` is (N, 2, S, S) with background first; ``loc`` is (N, 4, S, S), the logarithms of the distances in
pixels to the target's left, top, right and bottom side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from armory_skelevision.networks.heads import RPNOutput, depthwise_xcorr
from armory_skelevision.validation import InvalidValueError

# Side of the template features, of crops of 113 to 128 pixels; pixelwise correlation makes a channel of each position.
TEMPLATE_SIDE = 8
# The middle of the template features, used by depthwise correlation: the target without its context.
MIDDLE = slice(2, 6)
# Width of the branches.
CHANNELS = 96
DEPTH = 6


class PointHeadV2(nn.Module):
    """Pixelwise correlation of features of 48 channels; search features of side s give S = s."""

    def __init__(self) -> None:
        super().__init__()
        self.corr_pw_cls = PixelwiseCorrelation(48)
        self.corr_pw_reg = PixelwiseCorrelation(48)
        self.cls_pw_tower = _tower_v2()
        self.bbox_pw_tower = _tower_v2()
        self.cls_pred = nn.Sequential(nn.Conv2d(CHANNELS, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(CHANNELS, 4, 1))

    def forward(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 48, 8, 8) with search features (N, 48, s, s)."""
        cls = self.cls_pw_tower(self.corr_pw_cls(z_features, x_features))
        loc = self.bbox_pw_tower(self.corr_pw_reg(z_features, x_features))
        return RPNOutput(self.cls_pred(cls), self.bbox_pred(loc))


class PointHeadV3(nn.Module):
    """Pixelwise and depthwise correlation of features of 96 channels; search features of side s give S = s - 1."""

    def __init__(self) -> None:
        super().__init__()
        self.corr_pw_cls = PixelwiseCorrelation(96, mix=True)
        self.corr_pw_reg = PixelwiseCorrelation(96, mix=True)
        self.corr_dw_cls = DepthwiseCorrelation(96)
        self.corr_dw_reg = DepthwiseCorrelation(96)
        self.down_cls = nn.Sequential(nn.Conv2d(TEMPLATE_SIDE**2 + 96, CHANNELS, 1))
        self.down_reg = nn.Sequential(nn.Conv2d(TEMPLATE_SIDE**2 + 96, CHANNELS, 1))
        self.cls_tower = _tower_v3()
        self.bbox_tower = _tower_v3()
        self.cls_logits = nn.Sequential(nn.Conv2d(CHANNELS, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(CHANNELS, 4, 1))

    def forward(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 96, 8, 8) with search features (N, 96, s, s)."""
        both = z_features, x_features
        cls = self.down_cls(torch.cat([self.corr_pw_cls(*both), self.corr_dw_cls(*both)], dim=1))
        loc = self.down_reg(torch.cat([self.corr_pw_reg(*both), self.corr_dw_reg(*both)], dim=1))
        return RPNOutput(self.cls_logits(self.cls_tower(cls)), self.bbox_pred(self.bbox_tower(loc)))


class PixelwiseCorrelation(nn.Module):
    """Similarity of each position of the search features to each of the 64 of the template features, weighted.

    Args:
        channels: Channels of both feature maps.
        mix: Whether to filter the 64 channels, which removes a row and a column.
    """

    def __init__(self, channels: int, mix: bool = False) -> None:
        super().__init__()
        cells = TEMPLATE_SIDE**2
        self.conv_kernel = _project(channels)
        self.conv_search = _project(channels)
        self.CA_layer = ChannelWeights(cells)
        filters = [nn.Conv2d(cells, cells, 2, groups=cells, bias=False), nn.BatchNorm2d(cells), nn.ReLU6()]
        self.conv = nn.Sequential(*filters, *_project(cells)) if mix else nn.Identity()

    def forward(self, z_features: Tensor, x_features: Tensor) -> Tensor:
        """Template features (1 or N, C, 8, 8) and search features (N, C, s, s) to (N, 64, s, s), or s - 1.

        Raises:
            InvalidValueError: If the template features have another side.
        """
        if z_features.shape[2:] != (TEMPLATE_SIDE, TEMPLATE_SIDE):
            expected = f"shape (N, C, {TEMPLATE_SIDE}, {TEMPLATE_SIDE}), of crops of 113 to 128 pixels"
            raise InvalidValueError("template features", expected, f"shape {tuple(z_features.shape)}")
        kernel, search = self.conv_kernel(z_features), self.conv_search(x_features)
        likeness = (kernel.flatten(2).transpose(1, 2) @ search.flatten(2)).unflatten(2, search.shape[2:])
        mixed: Tensor = self.conv(self.CA_layer(likeness))
        return mixed


class DepthwiseCorrelation(nn.Module):
    """Depthwise correlation with the middle of the template features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_kernel = _project(channels)
        self.conv_search = _project(channels)

    def forward(self, z_features: Tensor, x_features: Tensor) -> Tensor:
        """Template features (1 or N, C, 8, 8) and search features (N, C, s, s) to (N, C, s - 1, s - 1)."""
        kernel = self.conv_kernel(z_features[:, :, MIDDLE, MIDDLE])
        return depthwise_xcorr(F.pad(self.conv_search(x_features), (1, 1, 1, 1)), kernel)


class ChannelWeights(nn.Module):
    """Weights each channel by the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels, 1)
        self.fc2 = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Weighted features, (N, channels, h, w) in and out."""
        means = features.mean(dim=(2, 3), keepdim=True)
        weights: Tensor = self.fc2(self.fc1(means).relu()).sigmoid()
        return features * weights


def _project(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))


def _tower_v2() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in [TEMPLATE_SIDE**2] + [CHANNELS] * (DEPTH - 1):
        layers += [_depthwise(inputs), nn.Conv2d(inputs, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU6()]
    return nn.Sequential(*layers)


def _tower_v3() -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        pointwise = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
        layers += [_depthwise(CHANNELS), nn.BatchNorm2d(CHANNELS), nn.ReLU6(), pointwise, nn.BatchNorm2d(CHANNELS)]
    return nn.Sequential(*layers)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
