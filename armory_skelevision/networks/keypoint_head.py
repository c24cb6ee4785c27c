"""The second task of SkeleVision: locating the person's keypoints in the template.

Das et al., "SkeleVision", 2022, sections 3.2 and 4.1. The paper gives the channels; kernel sizes are those of its
public code.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from armory_skelevision.validation import check_value

Depth = Literal["shallow", "deep"]

KEYPOINTS = 17
TEMPLATE_SIZE = 127

_CHANNELS: dict[str, tuple[int, ...]] = {"shallow": (128, 64), "deep": (128, 128, 64, 64)}


class KeypointHead(nn.Module):
    """Template features to one map of logits per COCO keypoint.

    Args:
        depth: "shallow" (convolutions with 128 and 64 channels) or "deep" (128, 128, 64, 64).

    Raises:
        InvalidValueError: For another depth.
    """

    def __init__(self, depth: Depth = "shallow") -> None:
        super().__init__()
        check_value("keypoint_head", depth, Depth)
        self.depth: Depth = depth
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
