"""The U-Net: sizes, the identity at the start, gradients, and weights files."""

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.networks.unet import UNETS, UNet, load_unet, local_mean


def trained(width=4, seed=0):
    """A small one whose last layer says something."""
    torch.manual_seed(seed)
    network = UNet(width)
    torch.nn.init.normal_(network.last.weight, std=0.2)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("side", [127, 255, 287])
def test_every_crop_keeps_its_size_and_a_new_network_changes_nothing(side):
    crop = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(side))
    with torch.no_grad():
        assert torch.equal(UNet(4)(crop), crop)
        cleaned = trained()(crop)
    assert cleaned.shape == crop.shape and (cleaned - crop).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "width", "parameters"), [("small", 16, 0.5), ("base", 32, 1.9), ("large", 64, 7.7)])
def test_widths(name, width, parameters):
    network = UNETS[name]()
    assert network.width == width
    assert round(sum(tensor.numel() for tensor in network.parameters()) / 1e6, 1) == parameters
    assert not any("norm" in type(module).__name__.lower() for module in network.modules())


def test_signals_keep_their_size_over_the_layers():
    torch.manual_seed(0)
    network = UNet(16)
    seen = []
    network.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].std().item()))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
    assert 0.1 < seen[0] < 10


def test_surroundings_are_squares_cut_off_at_the_edges():
    pictures = torch.rand(2, 3, 16, 40, generator=torch.Generator().manual_seed(4))
    means = local_mean(pictures)
    torch.testing.assert_close(means[1, 2, 8, 20], pictures[1, 2, 1:16, 13:28].mean())
    torch.testing.assert_close(means[0, 1, 0, 39], pictures[0, 1, :8, 32:].mean())


def test_flat_parts_stay_and_twice_the_contrast_is_changed_twice_as_much():
    network, flat = trained(), torch.full((1, 3, 48, 48), 0.4)
    torch.testing.assert_close(network(flat), flat)
    detail = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3)) - 0.5
    once, twice = (network(flat + share * detail) - flat - share * detail for share in (0.5, 1.0))
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(2 * once, twice, rtol=1e-3, atol=1e-5)


def test_padding_is_by_reflection_and_a_picture_stands_alone_in_its_batch():
    crops = torch.rand(2, 3, 31, 47, generator=torch.Generator().manual_seed(1))
    mirrored = torch.nn.functional.pad(crops, (0, 1, 0, 1), mode="reflect")
    network = trained()
    torch.testing.assert_close(network(crops), network(mirrored)[:, :, :31, :47])
    torch.testing.assert_close(network(crops)[1:], network(crops[1:]), rtol=1e-4, atol=1e-6)


def test_gradient_agrees_with_finite_differences():
    crop = torch.rand(1, 3, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(trained(2).double(), (crop,))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 8, 32)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected pictures \(N, 3, H, W\) with sides from 9"):
        UNet(4)(torch.zeros(shape))


def test_weights_come_back_from_their_file(tmp_path):
    network, other = trained(), UNet(4)
    save_file(network.state_dict(), tmp_path / "unet.safetensors")
    load_unet(other, tmp_path / "unet.safetensors")
    crop = torch.rand(1, 3, 16, 16)
    assert torch.equal(other(crop), network(crop))


CHANGES = {
    "missing": (lambda state: state.pop("first.0.weight"), r"1 missing: first\.0\.weight"),
    "unexpected": (lambda state: state.update(extra=torch.zeros(1)), "1 unexpected: extra"),
    "misshapen": (
        lambda state: state.update({"last.weight": torch.zeros(12, 8, 3, 3)}),
        r"1 misshapen: last\.weight \(expected float \(12, 16, 3, 3\), got float \(12, 8, 3, 3\)\)",
    ),
    "NaN": (lambda state: state["last.weight"].fill_(torch.nan), r"1 NaN or infinite: last\.weight"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    state = UNet(4).state_dict()
    change(state)
    save_file(state, tmp_path / "unet.safetensors")
    with pytest.raises(ValueError, match=rf"unet\.safetensors does not fit a U-Net of width 4: {message}"):
        load_unet(UNet(4), tmp_path / "unet.safetensors")
