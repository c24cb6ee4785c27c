"""The U-Net: sizes, the identity at the start, gradients, and weights files."""

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.networks.unet import NOISE, OPENING, SCALES, UNETS, UNet, local_mean, noise_levels
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.unet import load_unet


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


def test_flat_parts_stay_and_before_an_untrained_gate_twice_the_contrast_is_changed_twice_as_much():
    network, flat = trained(), torch.full((1, 3, 48, 48), 0.4)
    torch.testing.assert_close(network(flat), flat)
    detail = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3)) - 0.5
    once, twice = (network(flat + share * detail) - flat - share * detail for share in (0.5, 1.0))
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(2 * once, twice, rtol=1e-3, atol=1e-5)


def test_noise_is_measured_and_slopes_are_not():
    generator = torch.Generator().manual_seed(3)
    ramp = torch.linspace(0, 1, 48).expand(1, 3, 64, 48)
    grey = (torch.rand(1, 1, 64, 48, generator=generator) - 0.5).expand(1, 3, 64, 48)
    flat = torch.full((1, SCALES, 8, 6), NOISE).log()

    def measure(noise):
        levels = noise_levels(ramp + noise)
        return levels[:, ::2], levels[:, 1::2]

    torch.testing.assert_close(noise_levels(ramp), flat.repeat(1, 2, 1, 1), rtol=1e-3, atol=0)
    (once, colour), (twice, _) = measure(0.1 * grey), measure(0.2 * grey)
    assert (once.mean(dim=(2, 3)) > flat.mean(dim=(2, 3)) + 2).all()
    doubled = (twice - once).mean(dim=(2, 3))
    torch.testing.assert_close(doubled, torch.full((1, SCALES), 2.0).log(), rtol=0.1, atol=0)
    torch.testing.assert_close(colour, flat, rtol=1e-3, atol=0)
    brightness, colour = measure(0.1 * (torch.rand(1, 3, 64, 48, generator=generator) - 0.5))
    assert (colour.mean(dim=(2, 3)) > brightness.mean(dim=(2, 3))).all()


def test_coarse_noise_is_measured_at_coarse_scales():
    def measure(noise):
        return noise_levels(noise)[0].mean(dim=(1, 2))

    noise = 0.1 * torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(3))
    fine, coarse = measure(noise), measure(torch.nn.functional.interpolate(noise, scale_factor=2))
    assert (coarse[2:4] > coarse[:2]).all() and (fine[2:4] < fine[:2]).all()


def test_noise_is_measured_where_it_is():
    picture = torch.full((1, 3, 64, 48), 0.4)
    picture[:, :, 24:32, 16:24] += torch.rand(8, 8, generator=torch.Generator().manual_seed(3)) - 0.5
    levels = noise_levels(picture)[0, 0]
    loud = levels > levels.min() + 0.5
    assert levels.argmax() == 3 * 6 + 2
    assert loud.nonzero().min(dim=0).values.tolist() >= [2, 1] and loud.nonzero().max(dim=0).values.tolist() <= [4, 3]


def test_the_gate_opens_for_strong_noise_and_leaves_weak_noise_alone_to_the_bit():
    network, flat = trained(), torch.full((1, 3, 48, 48), 0.4)
    noise = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3)) - 0.5
    weak, strong = flat + noise / 64, flat + noise / 4
    half = network(strong) - strong
    assert half.any() and not torch.equal(network(weak), weak)
    assert not network.suspect(weak).any()
    network.gate.weight.fill_(1.0)
    assert network.suspect(weak) < -1 and network.suspect(strong) > 1
    assert torch.equal(network(weak), weak)
    torch.testing.assert_close(network(strong) - strong, 2 * half)


def test_the_gate_opens_where_noise_is():
    network = trained()
    network.gate.weight.fill_(1.0)
    frame = torch.full((1, 3, 320, 480), 0.4)
    frame[..., 300:] += (torch.rand(3, 320, 180, generator=torch.Generator().manual_seed(3)) - 0.5) / 4
    share = network._share(frame)
    assert share.shape == (1, 1, 320, 480)
    assert not share[..., :200].any() and (share[..., -60:] == 1).all()
    assert (share.diff(dim=3) >= -1e-6).all()
    assert network.suspect(frame).shape == (1, 1, 25, 45)


def test_rounding_to_bfloat16_is_not_taken_for_noise():
    network = trained()
    network.gate.weight.fill_(1.0)
    ramp = torch.linspace(0.1, 0.4, 48)
    slope = (ramp + ramp[:, None]).expand(1, 3, 48, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network.suspect(slope)
    torch.testing.assert_close(logits, network.suspect(slope))
    assert network.suspect(slope.bfloat16().float()) > logits + 10


def test_between_the_gate_opens_in_proportion_to_how_sure_it_is():
    network, picture = trained(), torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3))
    half = network(picture) - picture
    for logit, share in ((-0.5, 0.25), (0.5, 0.75)):
        network.gate.bias.fill_(logit / OPENING)
        torch.testing.assert_close(network(picture) - picture, 2 * share * half)


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
    with pytest.raises(InvalidValueError) as caught:
        UNet(4)(torch.zeros(shape))
    assert (caught.value.key, caught.value.got) == ("images", f"shape {shape}")


def test_weights_come_back_from_their_file(tmp_path):
    network, other = trained(), UNet(4)
    save_file(network.state_dict(), tmp_path / "unet.safetensors")
    load_unet(other, tmp_path / "unet.safetensors")
    crop = torch.rand(1, 3, 16, 16)
    assert torch.equal(other(crop), network(crop))


CHANGES = {
    "missing": (lambda state: state.pop("first.0.weight"), "1 missing: first.0.weight"),
    "unexpected": (lambda state: state.update(extra=torch.zeros(1)), "1 unexpected: extra"),
    "misshapen": (
        lambda state: state.update({"last.weight": torch.zeros(12, 8, 3, 3)}),
        "1 misshapen: last.weight (expected float (12, 16, 3, 3), got float (12, 8, 3, 3))",
    ),
    "NaN": (lambda state: state["last.weight"].fill_(torch.nan), "1 NaN or infinite: last.weight"),
}


@pytest.mark.parametrize(("change", "got"), CHANGES.values(), ids=CHANGES.keys())
def test_weights_that_do_not_fit_are_named(tmp_path, change, got):
    path, state = tmp_path / "unet.safetensors", UNet(4).state_dict()
    change(state)
    save_file(state, path)
    with pytest.raises(InvalidValueError) as caught:
        load_unet(UNet(4), path)
    assert (caught.value.key, caught.value.got) == (str(path), got)
