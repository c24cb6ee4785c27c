"""Convolutions by NNPACK's fast transforms: half the time of a gradient on one core with AVX2 and nothing newer.

PyTorch brings NNPACK along, but does not choose it for single images. Results are the same up to rounding. With several
threads it gains nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def use_nnpack(network: nn.Module) -> None:
    """Let a frozen network's ordinary convolutions be computed by NNPACK, in place."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _fits(layer):
            layer.forward = partial(_convolve, layer)  # type: ignore[method-assign]


def _fits(layer: nn.Conv2d) -> bool:
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    square = layer.kernel_size[0] == layer.kernel_size[1] >= 3 and layer.stride[0] == layer.stride[1] <= 2
    return plain and square and layer.padding == (0, 0) and not layer.weight.requires_grad


def _convolve(layer: nn.Conv2d, images: Tensor) -> Tensor:
    if images.dtype != torch.float32 or images.device.type != "cpu":  # such as "meta", where only shapes are asked for
        return F.conv2d(images, layer.weight, layer.bias, layer.stride)
    convolved: Tensor = _Convolution.apply(images, layer.weight, layer.bias, layer.stride[0])  # type: ignore[no-untyped-call]
    return convolved


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.shape = stride, images.shape
        if stride > 1:  # which NNPACK is slower at
            return F.conv2d(images, weight, bias, stride)
        return torch._nnpack_spatial_convolution(images, weight, bias, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        return _gradient(grad, weight, ctx.stride, ctx.shape), None, None, None


def _gradient(grad: Tensor, weight: Tensor, stride: int, shape: torch.Size) -> Tensor:
    """The gradient with respect to the images, as one convolution of stride 1 for all positions within a stride."""
    excess = -weight.shape[-1] % stride
    parts = F.pixel_unshuffle(F.pad(weight, (0, excess, 0, excess)), stride)
    flipped = parts.flip(2, 3).transpose(0, 1).contiguous()
    border = flipped.shape[-1] - 1
    spread = torch._nnpack_spatial_convolution(F.pad(grad, (border,) * 4), flipped, None, 0, 1)
    found = F.pixel_shuffle(spread, stride)[..., : shape[-2], : shape[-1]]
    return F.pad(found, (0, shape[-1] - found.shape[-1], 0, shape[-2] - found.shape[-2]))
