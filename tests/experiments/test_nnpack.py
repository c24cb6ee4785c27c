"""NNPACK's convolutions are PyTorch's, forwards and backwards."""

import pytest
import torch
from torch import nn

from experiments.nnpack import use_nnpack


@pytest.mark.parametrize(("size", "stride", "side"), [(3, 1, 26), (5, 1, 31), (11, 2, 63), (11, 2, 64), (4, 2, 17)])
def test_outputs_and_gradients_are_those_of_pytorch(size: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, size, stride)).requires_grad_(False)
    images = torch.randn(2, 3, side, side, requires_grad=True)
    expected = network(images)
    weights = torch.randn_like(expected)
    (expected_grad,) = torch.autograd.grad(expected, images, weights)
    use_nnpack(network)
    found = network(images)
    assert type(found.grad_fn).__name__ == "_ConvolutionBackward"
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.autograd.grad(found, images, weights)[0], expected_grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("other", [{"groups": 3}, {"padding": 1}, {"dilation": 2}, {"kernel_size": 1}, {"stride": 3}])
def test_other_convolutions_stay_as_they_are(other: dict[str, int]) -> None:
    settings = {"in_channels": 3, "out_channels": 3, "kernel_size": 3, **other}
    network = nn.Sequential(nn.Conv2d(**settings)).requires_grad_(False)
    use_nnpack(network)
    assert "forward" not in vars(network[0])
