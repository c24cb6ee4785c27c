"""Pruning of the channels that clean data hardly moves."""

import copy

import pytest
import torch

from armory_skelevision.defenses.pruning import dormant_channels, prune
from armory_skelevision.networks import SiamRPN
from armory_skelevision.networks.inference import freeze
from armory_skelevision.validation import InvalidValueError


@pytest.fixture
def network() -> SiamRPN:
    torch.manual_seed(0)
    network = SiamRPN().eval()
    norm = network.backbone.layer5[1]
    norm.weight.data[[3, 200]] = 1e-3  # channels that hardly move, one of them far from zero
    norm.bias.data[200] = 5.0
    return network


@pytest.mark.parametrize("frozen", [False, True])
def test_what_hardly_moves_is_found_and_silenced(network: SiamRPN, frozen: bool) -> None:
    if frozen:
        freeze(network)
    before = copy.deepcopy(network)
    crops = 255 * torch.rand(2, 3, 127, 127)
    found = dormant_channels(network, crops, 2 / 256)
    assert sorted(found.tolist()) == [3, 200]
    prune(network, found)
    pruned, whole = network.embed(crops), before.embed(crops)
    assert (pruned[:, [3, 200]] == 0).all()
    others = [channel for channel in range(256) if channel not in (3, 200)]
    assert torch.equal(pruned[:, others], whole[:, others])


def test_nothing_is_pruned_unless_asked(network: SiamRPN) -> None:
    assert len(dormant_channels(network, torch.rand(1, 3, 127, 127), 0.0)) == 0


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_senseless_shares(network: SiamRPN, share: float) -> None:
    with pytest.raises(InvalidValueError) as refused:
        dormant_channels(network, torch.rand(1, 3, 127, 127), share)
    assert refused.value.key == "share"
