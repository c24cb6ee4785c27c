"""Inputs of about unit size for training, and how that scaling hides in the first convolution's weights.

The first convolution has no padding, so folding is exact: W (x - a) s + b = (s W) x + (b - s a ΣW).
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from armory_skelevision.networks import SiamRPN
from armory_skelevision.weights import load_weights, read_metadata

GREY, SPREAD = 118.0, 64.0  # middle and spread of the pixels of ordinary pictures


def normalise(crops: Tensor) -> Tensor:
    """Crops (N, H, W, 3) uint8 to a network in training: (N, 3, H, W) float32, channels last in memory."""
    return (crops.permute(0, 3, 1, 2).float() - GREY) / SPREAD


def take_raw_input(network: SiamRPN) -> None:
    """Make a network that wants `normalise`d crops want BGR 0..255, in place. It says the same as before."""
    _rescale(network, GREY, 1 / SPREAD)


def take_normalised_input(network: SiamRPN) -> None:
    """The inverse of `take_raw_input`, in place."""
    _rescale(network, -GREY / SPREAD, SPREAD)


def load_start(network: SiamRPN, path: str | os.PathLike[str]) -> None:
    """Fill a network, to be trained on normalised input, from a weights file.

    A keypoint head that the file lacks, or holds in another depth, stays as it is.

    Raises:
        OSError, ValueError: As `load_weights`.
    """
    metadata = read_metadata(path)
    source = SiamRPN(metadata.keypoint_head if metadata else None)
    load_weights(source, path)
    take_normalised_input(source)
    state = source.state_dict()
    if source.keypoint_depth != network.keypoint_depth:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("keypoint_head.")}
    network.load_state_dict({**network.state_dict(), **state})


def _rescale(network: SiamRPN, offset: float, factor: float) -> None:
    first = network.backbone.layer1[0]
    if not isinstance(first, torch.nn.Conv2d) or first.bias is None:
        raise TypeError(f"expected the backbone to start with a convolution with bias, got {first}")
    with torch.no_grad():
        first.weight *= factor
        first.bias -= offset * first.weight.sum(dim=(1, 2, 3))
