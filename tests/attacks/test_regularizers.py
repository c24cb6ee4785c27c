import numpy as np
import pytest
import torch

from armory_skelevision.attacks.patch.regularizers import distance_to_print, printable_colours, total_variation


def test_total_variation_of_known_patches():
    assert total_variation(torch.full((8, 8, 3), 0.4)) == 0
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    assert total_variation(board[..., None].expand(8, 8, 3).float()) == pytest.approx(2 * 7 / 8)


def test_paper_and_full_inks_can_be_printed_and_pure_light_cannot():
    for colour in ([255, 255, 255], [0, 158, 224], [230, 0, 126], [255, 237, 0], [43, 37, 35]):
        patch = (torch.tensor(colour) / 255).expand(4, 4, 3)
        assert distance_to_print(patch) < 0.01
    for colour in ([0.0, 1, 0], [0.0, 0, 1], [1.0, 0, 1]):
        assert distance_to_print(torch.tensor(colour).expand(4, 4, 3)) > 0.3


def test_colours_between_inks_lie_between_them():
    colours = printable_colours()
    assert colours.shape == (64, 3) and colours.min() >= 0 and colours.max() <= 1
    # A third of the paper under cyan reflects a third of cyan's light and two thirds of the paper's.
    paper, cyan = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.0, 158, 224]) / 255
    mixed = colours[16]
    torch.testing.assert_close(linear(mixed), (2 * linear(paper) + linear(cyan)) / 3, rtol=0, atol=1e-5)


def test_penalties_equal_plain_loops():
    patch = np.random.default_rng(0).random((4, 5, 3))
    printable = printable_colours().double().numpy()
    variation, distance = 0.0, 0.0
    for row, column in np.ndindex(4, 5):
        if row:
            variation += np.abs(patch[row, column] - patch[row - 1, column]).sum()
        if column:
            variation += np.abs(patch[row, column] - patch[row, column - 1]).sum()
        distance += np.sqrt(((printable - patch[row, column]) ** 2).sum(axis=1)).min()
    assert total_variation(torch.from_numpy(patch)).item() == pytest.approx(variation / 60)
    assert distance_to_print(torch.from_numpy(patch)).item() == pytest.approx(distance / 20, rel=1e-6)


def test_every_printable_colour_mixes_the_light_of_the_overprints():
    overprints = {  # sRGB of cyan, magenta and yellow on white paper
        "": (255, 255, 255), "c": (0, 158, 224), "m": (230, 0, 126), "y": (255, 237, 0),
        "cm": (49, 39, 131), "cy": (0, 150, 64), "my": (227, 6, 19), "cmy": (43, 37, 35),
    }  # fmt: skip
    for index, colour in enumerate(printable_colours()):
        cover = {"c": index // 16 / 3, "m": index // 4 % 4 / 3, "y": index % 4 / 3}
        light = torch.zeros(3, dtype=torch.float64)
        for inks, reflected in overprints.items():
            share = np.prod([cover[ink] if ink in inks else 1 - cover[ink] for ink in "cmy"])
            light += share * linear(torch.tensor(reflected).double() / 255)
        torch.testing.assert_close(linear(colour.double()), light, rtol=0, atol=1e-6)


def linear(colour):
    return torch.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def test_penalties_have_gradients():
    patch = torch.rand(6, 6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for penalty in (total_variation, distance_to_print):
        assert torch.autograd.grad(penalty(patch), patch)[0].abs().sum() > 0
