"""Pruning against backdoors: removes channels that hardly vary on clean data and may serve a trigger only.

Liu et al., "Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks", 2018, prune the last
convolution by mean activation. The last features of a Siamese tracker have no ReLU, so that the mean of a dormant
channel may be far from zero: here channels are ranked by their standard deviation instead.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.validation import Range, check_value


@torch.no_grad()
def dormant_channels(network: SiameseNetwork, crops: Tensor, share: float) -> Tensor:
    """The channels of the last features with the least standard deviation on clean crops.

    Args:
        network: In evaluation mode.
        crops: Crops of clean videos (N, 3, size, size), BGR in 0..255.
        share: Share of all channels to return, in [0, 1).

    Returns:
        Indices of channels, the most dormant first.

    Raises:
        InvalidValueError: For a share out of range.
    """
    check_value("share", share, Annotated[float, Range(0, 1, without_high=True)])
    spread = network.embed(crops).std(dim=(0, 2, 3))
    return spread.argsort()[: round(share * len(spread))]


@torch.no_grad()
def prune(network: SiameseNetwork, channels: Tensor) -> None:
    """Set the channels with these indices to 0 in the last features, in place.

    The backbone must end with a convolution or a batch normalisation.
    """
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    last = [layer for layer in network.backbone.modules() if isinstance(layer, kinds)][-1]
    last.weight[channels] = 0
    if last.bias is not None:
        last.bias[channels] = 0
