"""SiamFC++'s points, labels and losses, against video_analyst's equations in NumPy."""

import numpy as np
import pytest
import torch

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import QualitySettings
from armory_skelevision.tracking.points import points_xy
from armory_skelevision.tracking.quality_losses import focal_loss, iou_loss, point_loss, quality_loss
from armory_skelevision.tracking.quality_points import distances, match

# The middle pixel of a crop of 303 pixels, from which our coordinates are measured.
MIDDLE = 151
# Corners as in video_analyst, inclusive, in pixels of the crop.
CORNERS = (100.0, 60.0, 190.0, 239.0)
BOX_CXCYWH = torch.tensor([[(100 + 190) / 2 - MIDDLE, (60 + 239) / 2 - MIDDLE, 91.0, 180.0]])


def drawn_output(seed=0, count=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    cls, loc = (torch.randn(count, each, 17, 17, generator=generator, dtype=dtype) for each in (2, 4))
    return RPNOutput(cls, 0.3 * loc + 4)


def grid():
    """Places of the points, counted from the crop's first pixel: 87, 95, …, row by row."""
    rows, columns = np.divmod(np.arange(289), 17)
    return 87.0 + 8 * columns, 87.0 + 8 * rows


def theirs():
    """Labels, quality and distances of the box, as make_densebox_target has them."""
    x, y = grid()
    sides = np.stack([x - CORNERS[0], y - CORNERS[1], CORNERS[2] - x, CORNERS[3] - y])
    inside = (sides > 0).all(axis=0)
    left, top, right, bottom = sides
    product = np.minimum(left, right) * np.minimum(top, bottom) / (np.maximum(left, right) * np.maximum(top, bottom))
    return inside, np.sqrt(np.abs(product)), sides


def test_proposals_are_those_of_video_analyst():
    output = drawn_output()
    proposals = QualitySettings().decode(output).of(0)
    x, y = grid()
    left, top, right, bottom = np.exp(output.loc[0].flatten(1).numpy())
    expected = [(2 * x - left + right) / 2 - MIDDLE, (2 * y - top + bottom) / 2 - MIDDLE, left + right + 1]
    np.testing.assert_allclose(proposals.boxes_cxcywh.T, [*expected, top + bottom + 1], rtol=1e-12)
    scores = (1 / (1 + np.exp(-output.cls[0].flatten(1).numpy()))).prod(axis=0)
    np.testing.assert_allclose(proposals.scores, scores, rtol=1e-12)


def test_targets_are_those_of_video_analyst():
    targets = match(BOX_CXCYWH.double(), points_xy(17, 8).double())
    inside, quality, sides = theirs()
    assert (targets.inside[0].numpy() == inside).all() and 0 < inside.sum() < 289
    np.testing.assert_allclose(targets.distances[0], sides)
    np.testing.assert_allclose(targets.quality[0], np.where(inside, quality, 0), atol=1e-6)


def test_losses_are_those_of_video_analyst():
    output = drawn_output()
    targets = match(BOX_CXCYWH.double(), points_xy(17, 8).double())
    inside, quality, _ = theirs()
    logits, ranks = output.cls[0].flatten(1).numpy()
    chance = 1 / (1 + np.exp(-logits))
    focal = np.where(inside, -0.25 * (1 - chance) ** 2 * np.log(chance), -0.75 * chance**2 * np.log(1 - chance))
    assert focal_loss(output.cls[:, 0].flatten(1), targets.inside).item() == pytest.approx(focal.sum() / inside.sum())
    rank = 1 / (1 + np.exp(-ranks))

    def entropy(found):
        return -(quality * np.log(found) + (1 - quality) * np.log(1 - found))[inside]

    expected = (entropy(rank) - entropy(quality)).mean()
    assert quality_loss(output.cls[:, 1].flatten(1), targets).item() == pytest.approx(expected, rel=1e-6)
    x, y = grid()
    found = np.exp(output.loc[0].flatten(1).numpy())
    corners = np.stack([x - found[0], y - found[1], x + found[2], y + found[3]])
    truth = np.array(CORNERS)[:, None]
    common = np.minimum(corners[2:], truth[2:]) - np.maximum(corners[:2], truth[:2]) + 1
    areas = [(each[2:] - each[:2] + 1).prod(axis=0) for each in (corners, truth)]
    overlap = common.prod(axis=0) / (areas[0] + areas[1] - common.prod(axis=0))
    assert iou_loss(distances(output), targets).item() == pytest.approx(-np.log(overlap[inside]).mean())
    parts = (focal.sum() / inside.sum(), expected, -np.log(overlap[inside]).mean())
    assert point_loss(output, BOX_CXCYWH.double()).item() == pytest.approx(parts[0] + parts[1] + 3 * parts[2], rel=1e-6)


def test_a_perfect_answer_has_no_loss_and_each_part_a_gradient():
    targets = match(BOX_CXCYWH, points_xy(17, 8))
    quality = torch.where(targets.inside, targets.quality.clamp(1e-6, 1 - 1e-6).logit(), 0)
    cls = torch.stack([torch.where(targets.inside, 40.0, -40.0), quality], dim=1).reshape(1, 2, 17, 17)
    loc = targets.distances.clamp(min=1e-3).log().reshape(1, 4, 17, 17)
    assert point_loss(RPNOutput(cls, loc), BOX_CXCYWH).item() == pytest.approx(0, abs=1e-4)
    output = RPNOutput(*(values.requires_grad_() for values in drawn_output()))
    point_loss(output, BOX_CXCYWH.double()).backward()
    assert (output.cls.grad != 0).all(dim=1).sum() == targets.inside.sum() and (output.cls.grad[:, 0] != 0).all()
    assert ((output.loc.grad != 0).any(dim=1).flatten() == targets.inside[0]).all()


def test_crops_without_their_target_have_background_only():
    output, boxes = drawn_output(count=2), BOX_CXCYWH.double().repeat(2, 1)
    absent = point_loss(output, boxes, torch.tensor([False, False]))
    expected = focal_loss(output.cls[:, 0].flatten(1), torch.zeros(2, 289, dtype=torch.bool))
    assert absent.item() == pytest.approx(expected.item())
    one = point_loss(output, boxes, torch.tensor([True, False]))
    assert one.item() != pytest.approx(point_loss(output, boxes).item())


def test_gradcheck_of_the_loss():
    generator = torch.Generator().manual_seed(1)
    cls, loc = (torch.randn(1, each, 3, 3, dtype=torch.float64, generator=generator) for each in (2, 4))
    box_cxcywh = torch.tensor([[1.0, -2, 15, 19]], dtype=torch.float64)

    def loss(cls, loc):
        return point_loss(RPNOutput(cls, loc + 2), box_cxcywh)

    assert torch.autograd.gradcheck(loss, (cls.requires_grad_(), loc.requires_grad_()))
