"""Networks for inference: what is constant in them is computed once, and half precision may be slow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from armory_skelevision.networks.resnet import Bottleneck, ResNet50

# Modules whose norms act on the output of the convolution that is registered before them.
IN_ORDER = (nn.Sequential, ResNet50, Bottleneck)

Function = TypeVar("Function", bound=Callable[..., object])


def with_gradients(function: Function) -> Function:
    """A function that can differentiate even where its caller has switched gradients off.

    Within ``torch.no_grad`` and ``torch.inference_mode`` an attack would find no gradient and give up.
    """
    return torch.inference_mode(False)(function)


def freeze(network: nn.Module) -> None:
    """Freeze a network in evaluation mode, in place: weights without gradients, norms folded into convolutions.

    Outputs stay the same up to rounding. An attack's graph becomes smaller, as each norm would keep its input. Only a
    ``BatchNorm2d`` directly after a ``Conv2d`` in one of `IN_ORDER` is folded.
    """
    network.eval().requires_grad_(False)
    for layers in [module for module in network.modules() if isinstance(module, IN_ORDER)]:
        for (name, layer), (next_name, follower) in pairwise(list(layers.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(follower, nn.BatchNorm2d):
                setattr(layers, name, fuse_conv_bn_eval(layer, follower))
                setattr(layers, next_name, nn.Identity())


def warn_of_slow_bf16(precision: str, device: torch.device) -> None:
    """Warn (`UserWarning`) of a network in "bf16" where it is slower than "float32": with AVX2 and nothing newer."""
    if precision == "bf16" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        warnings.warn(
            '"precision": "bf16" takes many times as long as "float32" on this processor (AVX2, no AVX-512)',
            stacklevel=2,
        )
