"""Networks for inference: what is constant in them is computed once."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def freeze(network: nn.Module) -> None:
    """Freeze a network in evaluation mode, in place: weights without gradients, norms folded into convolutions.

    Outputs stay the same up to rounding. An attack's graph becomes smaller, as each norm would keep its input.

    Args:
        network: Any network; only a ``BatchNorm2d`` directly after a ``Conv2d`` in a ``Sequential`` is folded.
    """
    network.eval().requires_grad_(False)
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for (place, layer), (next_place, follower) in pairwise(list(layers.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(follower, nn.BatchNorm2d):
                layers[int(place)] = fuse_conv_bn_eval(layer, follower)
                layers[int(next_place)] = nn.Identity()
