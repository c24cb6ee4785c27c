"""The points of an anchor-free head, and the boxes that it predicts at them."""

import numpy as np
import pytest
import torch

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import PointSettings, TrackerState
from armory_skelevision.tracking.points import decode, points_xy
from armory_skelevision.tracking.tracker import choose, update


@pytest.mark.parametrize(("size", "stride"), [(5, 16), (4, 8)])
def test_points_lie_on_a_grid_around_the_middle(size, stride):
    expected = [[stride * (x - size // 2), stride * (y - size // 2)] for y in range(size) for x in range(size)]
    found = points_xy(size) if stride == 16 else points_xy(size, stride)
    assert found.tolist() == expected and found.dtype == torch.float32


@pytest.mark.parametrize(("log_scale", "bounded"), [(9.5, 9.5), (1e4, 10.0), (-9.5, -9.5), (-1e4, -10.0)])
def test_decoded_distances_are_bounded(log_scale, bounded):
    loc = torch.full((1, 4, 1, 1), log_scale, dtype=torch.float64)
    found = decode(RPNOutput(torch.zeros(1, 2, 1, 1), loc), points_xy(1).double()).of(0).boxes_cxcywh
    torch.testing.assert_close(found, torch.tensor([[0.0, 0, 2 * np.exp(bounded), 2 * np.exp(bounded)]]).double())


@pytest.mark.parametrize("side", [15, 16])
def test_decoding_equals_a_plain_loop(side):
    rng = np.random.default_rng(side)
    cls, loc = rng.normal(size=(2, side, side)), rng.normal(3, 0.5, size=(4, side, side))
    proposals = decode(
        RPNOutput(torch.from_numpy(cls)[None], torch.from_numpy(loc)[None]), points_xy(side).double()
    ).of(0)
    for row in range(side):
        for column in range(side):
            x, y = 16 * (column - side // 2), 16 * (row - side // 2)
            left, top, right, bottom = np.exp(loc[:, row, column])
            found = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
            index = row * side + column
            np.testing.assert_allclose(proposals.boxes_cxcywh[index], found, rtol=1e-9)
            score = 1 / (1 + np.exp(cls[0, row, column] - cls[1, row, column]))
            assert proposals.scores[index].item() == pytest.approx(score)


def test_gradcheck_of_decoding_and_update():
    generator = torch.Generator().manual_seed(1)
    cls = torch.randn(1, 2, 3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    loc = (3 + 0.1 * torch.randn(1, 4, 3, 3, dtype=torch.float64, generator=generator)).requires_grad_()
    box_cxcywh = torch.tensor([90.0, 90, 20, 40], dtype=torch.float64, requires_grad=True)

    def step(cls, loc, box_cxcywh):
        proposals = decode(RPNOutput(cls, loc), points_xy(3).double()).of(0)
        state, settings = TrackerState(box_cxcywh), PointSettings()
        return update(state, proposals, choose(state, proposals, settings), (200, 200), settings).box_cxcywh

    assert torch.autograd.gradcheck(step, (cls, loc, box_cxcywh))


def test_wild_outputs_stay_inside_the_frame_and_finite():
    state = TrackerState(torch.tensor([20.0, 40, 20, 40], dtype=torch.float64))
    for value in (-1e4, -50.0, 50.0, 1e4):
        wild = RPNOutput(*(torch.full((1, channels, 15, 15), value) for channels in (2, 4)))
        proposals = PointSettings().decode(wild).of(0)
        chosen = choose(state, proposals, PointSettings())
        cx, cy, width, height = update(state, proposals, chosen, (160, 120), PointSettings()).box_cxcywh.tolist()
        assert 0 <= cx <= 160 and 0 <= cy <= 120 and 10 <= width <= 160 and 10 <= height <= 120
