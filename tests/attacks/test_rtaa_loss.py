"""The loss of RTAA against a plain loop over anchors."""

import numpy as np
import pytest
import torch
from doubles import overlaps

from armory_skelevision.attacks.digital.rtaa import rtaa_loss
from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.anchors import anchors_cxcywh, decode, encode


def test_rtaa_loss_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    output = RPNOutput(
        torch.from_numpy(rng.normal(size=(1, 10, 5, 5))), torch.from_numpy(rng.normal(scale=0.3, size=(1, 20, 5, 5)))
    )
    anchors = anchors_cxcywh(5).double()
    box, pseudo = torch.tensor([[0.0, 0, 40, 90], [15, -30, 32, 70]]).double()
    found = cxcywh_to_xyxy(decode(output, anchors).of(0).boxes_cxcywh).numpy()
    overlap = overlaps(found, np.tile(cxcywh_to_xyxy(box).numpy(), (len(found), 1)))
    assert (overlap > 0.6).sum() >= 2 and (overlap < 0.3).sum() >= 2
    logits, offsets = output.cls.reshape(2, -1).T.numpy(), output.loc.reshape(4, -1).numpy()
    entropies, distances = [], 0.0
    for k in range(len(found)):
        log_p = logits[k] - np.log(np.exp(logits[k]).sum())
        if overlap[k] > 0.6 or overlap[k] < 0.3:
            truth = int(overlap[k] > 0.6)
            entropies.append(-log_p[1 - truth] + log_p[truth])
        if overlap[k] > 0.6:
            for wanted, sign in ((pseudo, 1), (box, -1)):
                gap = np.abs(offsets[:, k] - encode(wanted, anchors)[:, k].numpy())
                distances += sign * np.where(gap < 1, gap**2 / 2, gap - 0.5).sum()
    expected = np.mean(entropies) + 5 * distances
    assert float(rtaa_loss(output, anchors, box, pseudo)) == pytest.approx(expected, rel=1e-9)


def test_rtaa_loss_is_nothing_where_nothing_is_labelled():
    # Every proposal overlaps by half: neither target nor background.
    anchors = anchors_cxcywh(5)
    box = torch.tensor([0.0, 0, 64, 64])
    half = encode(torch.tensor([0.0, 0, 64, 32]), anchors).reshape(1, 20, 5, 5)
    output = RPNOutput(torch.randn(1, 10, 5, 5, requires_grad=True), half.requires_grad_())
    loss = rtaa_loss(output, anchors, box, box)
    (gradient,) = torch.autograd.grad(loss, output.cls)
    assert loss.item() == 0 and not gradient.any()


def test_the_bounds_of_the_overlap_are_not_labelled_and_one_label_is_a_mean():
    anchors = torch.tensor([[0.0, 0, 6, 10], [0, 0, 3, 10], [50, 0, 10, 10]])  # IoU .6, .3 and 0 with the box
    box, pseudo = torch.tensor([[0.0, 0, 10, 10], [4, 4, 8, 8]])
    output = RPNOutput(torch.arange(6.0).reshape(1, 6, 1, 1) ** 2, torch.zeros(1, 12, 1, 1))
    assert rtaa_loss(output, anchors, box, pseudo).item() == -(5**2 - 2**2)
