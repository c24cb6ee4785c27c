"""Pruning against backdoors: channels that clean data hardly moves may be there for a trigger alone.

Liu et al., "Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks", 2018, who prune the last
convolution by mean activation. The last features of a Siamese tracker have no ReLU, so that a channel that never
answers may still stand far from zero: here the spread of a channel counts, not its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armory_skelevision.networks import SiameseNetwork


@torch.no_grad()
def dormant_channels(network: SiameseNetwork, crops: Tensor, share: float) -> Tensor:
    """Channels of the last features that clean crops move least.

    Args:
        network: In evaluation mode.
        crops: What clean videos show it, as its input: (N, 3, size, size).
        share: Of all channels, in [0, 1).

    Returns:
        Their numbers, the most dormant first.

    Raises:
        ValueError: For another share.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share: expected a share of the channels in [0, 1), got {share!r}")
    spread = network.embed(crops).std(dim=(0, 2, 3))
    return spread.argsort()[: round(share * len(spread))]


@torch.no_grad()
def prune(network: SiameseNetwork, channels: Tensor) -> None:
    """Silence channels of the last features, in place: they are 0 from then on.

    Args:
        network: Whose backbone ends with a convolution, or with a norm after one.
        channels: Their numbers.
    """
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    last = [layer for layer in network.backbone.modules() if isinstance(layer, kinds)][-1]
    last.weight[channels] = 0
    if last.bias is not None:
        last.bias[channels] = 0
