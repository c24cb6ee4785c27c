"""The second task of SkeleVision: locating the person's keypoints in the template.

By heatmaps as in Das et al., "SkeleVision", 2022, sections 3.2 and 4.1: the paper gives the channels; kernel sizes are
those of its public code. Or by regression of coordinates, as in DeepPose (Toshev and Szegedy 2014), to compare the two.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from armory_skelevision.validation import check_value

HeadKind = Literal["shallow", "deep", "regression"]
"""Heatmaps from two or four convolutions, or coordinates."""

HeatmapDepth = Literal["shallow", "deep"]

KEYPOINTS = 17
TEMPLATE_SIZE = 127

_CHANNELS: dict[str, tuple[int, ...]] = {"shallow": (128, 64), "deep": (128, 128, 64, 64)}
_FEATURE_SIDE = 6  # of the features of a template
_HIDDEN = 256


class HeatmapHead(nn.Module):
    """Template features to one map of logits per COCO keypoint.

    Args:
        depth: "shallow" (convolutions with 128 and 64 channels) or "deep" (128, 128, 64, 64).

    Raises:
        InvalidValueError: For another depth.
    """

    def __init__(self, depth: HeatmapDepth = "shallow") -> None:
        super().__init__()
        check_value("keypoint_head", depth, HeatmapDepth)
        self.kind: HeadKind = depth
        widths = (256, *_CHANNELS[depth])
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        self.convs = nn.Sequential(*layers)
        self.deconv = nn.ConvTranspose2d(widths[-1], KEYPOINTS, 8, stride=2, padding=1)

    def forward(self, z_features: Tensor) -> Tensor:
        """Logits (N, 17, 127, 127), one value per pixel of the template crop, from features (N, 256, 6, 6)."""
        coarse = self.deconv(self.convs(z_features))
        return F.interpolate(coarse, size=(TEMPLATE_SIZE, TEMPLATE_SIZE), mode="bilinear", align_corners=False)


class RegressionHead(nn.Module):
    """Template features to the coordinates of each COCO keypoint, by two fully connected layers.

    Sizes are our own; DeepPose has fully connected layers on an AlexNet, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kind: HeadKind = "regression"
        channels = _CHANNELS["shallow"][0]
        self.conv = nn.Sequential(nn.Conv2d(256, channels, 3, padding=1), nn.ReLU(inplace=True))
        self.hidden = nn.Sequential(nn.Linear(channels * _FEATURE_SIDE**2, _HIDDEN), nn.ReLU(inplace=True))
        self.coordinates = nn.Linear(_HIDDEN, 2 * KEYPOINTS)

    def forward(self, z_features: Tensor) -> Tensor:
        """X and y (N, 17, 2), in pixels of the template crop, from features (N, 256, 6, 6)."""
        offsets: Tensor = self.coordinates(self.hidden(self.conv(z_features).flatten(1)))
        return TEMPLATE_SIZE * (0.5 + offsets.reshape(-1, KEYPOINTS, 2))


KeypointHead = HeatmapHead | RegressionHead


def make_keypoint_head(kind: HeadKind) -> KeypointHead:
    """A keypoint head with random weights.

    Raises:
        InvalidValueError: For an unknown kind.
    """
    check_value("keypoint_head", kind, HeadKind)
    return RegressionHead() if kind == "regression" else HeatmapHead(kind)
