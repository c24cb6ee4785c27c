"""Inputs of about unit size for training, and how that scaling is folded into the first convolution's weights.

The first convolution has no padding, so folding is exact: W (x - a) s + b = (s W) x + (b - s a ΣW). One without a bias
b is followed by a BatchNorm, whose mean takes its place.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from armory_skelevision.networks import AnchorNetwork
from armory_skelevision.weights.loading import load_siamrpn

GREY, SPREAD = 118.0, 64.0  # mean and standard deviation of the pixels of ordinary pictures, rounded


def normalise(crops: Tensor) -> Tensor:
    """Crops (N, H, W, 3) uint8 as (N, 3, H, W) float32 of about unit size, channels last in memory."""
    return standardise(crops.permute(0, 3, 1, 2).float())


def standardise(crops: Tensor) -> Tensor:
    """Crops in 0..255 of about unit size."""
    return (crops - GREY) / SPREAD


def fold_scaling(network: AnchorNetwork) -> None:
    """Make a network that takes `normalise`d crops take BGR in 0..255 instead, in place. Its outputs stay the same."""
    _rescale(network, GREY, 1 / SPREAD)


def unfold_scaling(network: AnchorNetwork) -> None:
    """The inverse of `fold_scaling`, in place."""
    _rescale(network, -GREY / SPREAD, SPREAD)


def load_initial_weights(network: AnchorNetwork, path: str | os.PathLike[str]) -> None:
    """Fill a network that is to be trained on normalised input from a weights file for BGR in 0..255.

    Both have the same architecture. A keypoint head that the file lacks, or has of another kind, stays as it is.
    Errors are those of `load_siamrpn`.
    """
    source = load_siamrpn(path)
    unfold_scaling(source)
    state = source.state_dict()
    if source.keypoint_head_kind != network.keypoint_head_kind:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("keypoint_head.")}
    network.load_state_dict({**network.state_dict(), **state})


def _rescale(network: AnchorNetwork, offset: float, factor: float) -> None:
    layers = [layer for layer in network.backbone.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    first, norm = layers[:2]
    if not isinstance(first, nn.Conv2d) or first.padding != (0, 0):
        raise TypeError(f"expected the backbone to start with a convolution without padding, got {first}")
    with torch.no_grad():
        first.weight *= factor
        shift = offset * first.weight.sum(dim=(1, 2, 3))
        if first.bias is not None:
            first.bias -= shift
        elif isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            norm.running_mean += shift
