"""Anchors, and what they are taught: which of them are the target, and the offsets to it."""

import numpy as np
import pytest
import torch
from doubles import overlaps
from pysot_loop import make_anchors

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.anchors import anchors_cxcywh, decode, encode, match
from armory_skelevision.tracking.proposals import Proposals


@pytest.mark.parametrize("score_size", [17, 21])
def test_anchors_equal_pysots(score_size):
    np.testing.assert_array_equal(anchors_cxcywh(score_size).T.numpy(), make_anchors(score_size))


def test_decoding_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    cls, loc, anchors = rng.normal(size=(10, 3, 3)), rng.normal(size=(20, 3, 3)), make_anchors(3)
    proposals = decode(
        RPNOutput(torch.from_numpy(cls)[None], torch.from_numpy(loc)[None]), anchors_cxcywh(3).double()
    ).of(0)
    for k in range(5):
        for row, column in np.ndindex(3, 3):
            index = (k * 3 + row) * 3 + column
            (cx, cy, width, height), (dx, dy, dw, dh) = anchors[:, index], loc[k::5, row, column]
            found = [cx + dx * width, cy + dy * height, width * np.exp(dw), height * np.exp(dh)]
            np.testing.assert_allclose(proposals.boxes_cxcywh[index], found, rtol=1e-12)
            background, target = np.exp(cls[k::5, row, column])
            assert proposals.scores[index].item() == pytest.approx(target / (background + target))


def test_decode_places_a_zero_delta_on_its_anchor():
    proposals = decode(RPNOutput(torch.zeros(1, 10, 21, 21), torch.zeros(1, 20, 21, 21)), anchors_cxcywh(21)).of(0)
    assert isinstance(proposals, Proposals)
    torch.testing.assert_close(proposals.boxes_cxcywh, anchors_cxcywh(21))
    torch.testing.assert_close(proposals.scores, torch.full((2205,), 0.5))


@pytest.mark.parametrize(("log_scale", "bounded"), [(9.5, 9.5), (1e4, 10.0), (-9.5, -9.5), (-1e4, -10.0)])
def test_decoded_sizes_are_bounded(log_scale, bounded):
    anchors = anchors_cxcywh(1).double()
    loc = torch.full((1, 20, 1, 1), log_scale, dtype=torch.float64)
    found = decode(RPNOutput(torch.zeros(1, 10, 1, 1), loc), anchors).of(0).boxes_cxcywh
    torch.testing.assert_close(found[:, 2:], anchors[:, 2:] * np.exp(bounded))
    torch.testing.assert_close(found[:, :2], anchors[:, 2:] * log_scale)  # places have no bound but the frame's


def test_encode_is_the_inverse_of_decode():
    anchors = anchors_cxcywh(5)
    box = torch.tensor([7.0, -3, 30, 80])
    output = RPNOutput(torch.zeros(1, 10, 5, 5), encode(box, anchors).reshape(1, 20, 5, 5))
    found = decode(output, anchors).of(0).boxes_cxcywh
    torch.testing.assert_close(found, box.expand_as(found), rtol=1e-5, atol=1e-4)


def test_anchors_match_a_box_by_their_overlap():
    anchors, box = anchors_cxcywh(9).double(), torch.tensor([7.0, -3, 60, 80]).double()
    corners = [
        torch.cat([each[:, :2] - each[:, 2:] / 2, each[:, :2] + each[:, 2:] / 2], 1) for each in (anchors, box[None])
    ]
    overlap = overlaps(corners[0].numpy(), corners[1].numpy())
    found = match(box, anchors)
    np.testing.assert_array_equal(found.target, overlap > 0.6)
    np.testing.assert_array_equal(found.background, overlap < 0.3)
    assert found.target.sum() > 5 and (~found.target & ~found.background).sum() > 5
    torch.testing.assert_close(found.offsets, encode(box, anchors))


def test_the_bounds_of_a_match_count_as_neither():
    anchors = torch.tensor([[0.0, 0, 6, 10], [0, 0, 3, 10]])  # IoU .6 and .3
    found = match(torch.tensor([0.0, 0, 10, 10]), anchors)
    assert not found.target.any() and not found.background.any()
