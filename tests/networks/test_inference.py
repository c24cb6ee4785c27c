"""A frozen network says what it said before, with no norm left and nothing to learn."""

import copy

import pytest
import torch
from torch import nn

from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.inference import freeze


@pytest.mark.parametrize("make", [lambda: SiamRPN(keypoint_head="deep"), NanoTrack], ids=["SiamRPN", "NanoTrack"])
def test_outputs_stay_without_norms(make):
    torch.manual_seed(0)
    network = make()
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith("running_mean"):
                values.normal_(0, 0.1)
            if name.endswith("running_var"):
                values.uniform_(0.5, 2)
    frozen = copy.deepcopy(network)
    freeze(frozen)
    network.eval()
    template, search = torch.rand(1, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
    with torch.no_grad():
        wanted, found = (net.predict_head(net.embed(template), net.embed(search)) for net in (network, frozen))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.training


def test_freezing_twice_changes_nothing_more():
    torch.manual_seed(0)
    network = SiamRPN()
    freeze(network)
    state = copy.deepcopy(network.state_dict())
    freeze(network)
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)


def test_a_norm_elsewhere_stays():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    freeze(network)
    assert isinstance(network[2], nn.BatchNorm2d)
