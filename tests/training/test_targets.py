"""Anchor targets against a plain loop over anchors."""

import math

import numpy as np
import pytest
import torch

from armory_skelevision.training.targets import TargetMaker, add_hard_negatives
from armory_skelevision.validation import InvalidValueError

SIZES = [(104, 32), (88, 40), (64, 64), (40, 80), (32, 96)]


def loop(box_xyxy, side, score_size):
    """IoU and offsets of each anchor, one after the other."""
    overlap = np.zeros((5, score_size, score_size))
    deltas = np.zeros((4, 5, score_size, score_size))
    x1, y1, x2, y2 = box_xyxy
    for a, (w, h) in enumerate(SIZES):
        for row in range(score_size):
            for column in range(score_size):
                cx = side / 2 + (column - score_size // 2) * 8
                cy = side / 2 + (row - score_size // 2) * 8
                common_w = min(x2, cx + w / 2) - max(x1, cx - w / 2)
                common_h = min(y2, cy + h / 2) - max(y1, cy - h / 2)
                common = max(common_w, 0) * max(common_h, 0)
                overlap[a, row, column] = common / (w * h + (x2 - x1) * (y2 - y1) - common)
                deltas[:, a, row, column] = (
                    ((x1 + x2) / 2 - cx) / w,
                    ((y1 + y2) / 2 - cy) / h,
                    math.log((x2 - x1) / w),
                    math.log((y2 - y1) / h),
                )
    return overlap, deltas


@pytest.mark.parametrize(("side", "score_size"), [(255, 17), (191, 9)])
def test_equals_a_plain_loop(side, score_size):
    rng = np.random.default_rng(side)
    maker = TargetMaker(side)
    for _ in range(10):
        low, size = rng.uniform(20, side / 2, 2), rng.uniform(30, 90, 2)
        box_xyxy = np.concatenate([low, low + size])
        targets = maker.make(box_xyxy, np.random.default_rng(0))
        overlap, deltas = loop(box_xyxy, side, score_size)
        np.testing.assert_allclose(targets.deltas, deltas, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(targets.background, overlap < 0.3)
        positive, negative = targets.labels == 1, targets.labels == 0
        assert positive.sum() == min(16, (overlap > 0.6).sum())
        assert negative.sum() == min(48, (overlap < 0.3).sum())
        assert (overlap[positive] > 0.6).all()
        assert (overlap[negative] < 0.3).all()
        assert targets.weights.sum() == pytest.approx(1.0 if positive.any() else 0.0)
        assert ((targets.weights > 0) == positive).all()


def test_sampling_follows_the_generator():
    maker, box_xyxy = TargetMaker(), np.array([100.0, 80, 140, 170])
    first, same, other = (maker.make(box_xyxy, np.random.default_rng(seed)).labels for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_the_box_of_a_negative_pair_is_background():
    maker, box_xyxy = TargetMaker(), np.array([100.0, 80, 140, 170])
    person, other = (maker.make(box_xyxy, np.random.default_rng(0), is_positive) for is_positive in (True, False))
    assert (person.labels == 1).any() and not (other.labels == 1).any()
    assert (other.labels == 0).sum() == 48
    assert not other.weights.any()
    # anchors that overlap somebody by half are ignored, as always
    np.testing.assert_array_equal(other.background, person.background | (overlaps(box_xyxy) > 0.6))


def test_distractors_are_background():
    maker, box_xyxy = TargetMaker(), np.array([100.0, 80, 140, 170])
    distractor = box_xyxy + (12, 24, 12, 24)
    alone = maker.make(box_xyxy, np.random.default_rng(0))
    crossed = maker.make(box_xyxy, np.random.default_rng(0), distractors_xyxy=distractor[None])
    added = crossed.background & ~alone.background
    target, other = overlaps(box_xyxy), overlaps(distractor)
    assert added.any()
    np.testing.assert_array_equal(added, (other > 0.6) & (target >= 0.3) & (target <= 0.6))
    np.testing.assert_array_equal(crossed.labels == 1, alone.labels == 1)


def overlaps(box_xyxy):
    return loop(box_xyxy, 255, 17)[0]


@pytest.mark.parametrize("box_xyxy", [[10, 10, 10, 50], [10, 10, np.nan, 50], [50, 10, 10, 50]])
def test_bad_boxes_are_refused(box_xyxy):
    with pytest.raises(InvalidValueError) as caught:
        TargetMaker().make(np.array(box_xyxy), np.random.default_rng(0))
    assert caught.value.key == "box_xyxy"


def test_hard_negatives_are_the_ignored_background_with_the_highest_scores():
    labels = torch.full((1, 1, 2, 3), -1)
    labels[0, 0, 0, 0] = 0
    background = torch.tensor([[[[True, True, True], [True, False, True]]]])
    cls = torch.zeros(1, 2, 2, 3)
    cls[0, 1] = torch.tensor([[9.0, 3, 1], [2, 8, 0]])
    added = add_hard_negatives(labels, cls, background, 2)
    assert added.tolist() == [[[[0, 0, -1], [0, -1, -1]]]]
    assert add_hard_negatives(labels, cls, background, 99)[0, 0].tolist() == [[0, 0, 0], [0, -1, 0]]
