"""Measures of confidence on videos small enough to count by hand."""

import math

import numpy as np
import pytest

from armory_skelevision.confidence import lost_but_sure, mean_attack_success_rate

TRUTH = np.tile(np.array([0.0, 0.0, 10.0, 10.0]), (5, 1))
ABSENT = np.array([0.0, 0.0, 0.0, 0.0])


def test_lost_but_sure_needs_both() -> None:
    ious = np.array([0.0, 0.1, 0.1, 0.2, 0.9])
    scores = np.array([0.99, 0.8, 0.3, 0.9, 0.9])
    benign = np.array([0.0, 0.4, 0.5, 0.6, 0.7])  # median .55 without the first frame
    assert lost_but_sure(ious, scores, benign, TRUTH) == 1 / 4  # frame 1 alone: 2 is unsure, 3 and 4 are not lost


def test_a_score_that_equals_the_median_is_not_above_it() -> None:
    same = np.full(5, 0.7)
    assert lost_but_sure(np.zeros(5), same, same, TRUTH) == 0


def test_frames_without_a_target_count_in_neither() -> None:
    truth = TRUTH.copy()
    truth[2:4] = ABSENT
    ious, scores = np.zeros(5), np.array([1.0, 0.8, 0.9, 0.9, 0.2])
    assert lost_but_sure(ious, scores, np.array([0, 0.3, 1, 1, 0.5]), truth) == 1 / 2
    found = np.array([[4.0, 4.0, 5.0, 5.0]] * 5)
    assert mean_attack_success_rate(scores, found, truth) == pytest.approx((7 + 1) / 18)


def test_attack_success_rate_by_hand() -> None:
    # 25 of 100 pixels, in the middle: small enough from .3 on; the score is high enough up to .6
    found = np.array([[2.5, 2.5, 7.5, 7.5]] * 5)
    scores = np.array([0.0, 0.65, 0.65, 0.1, 0.95])
    by_frame = [4 / 9, 4 / 9, 0, 7 / 9]
    assert mean_attack_success_rate(scores, found, TRUTH) == pytest.approx(np.mean(by_frame))


def test_attack_success_rate_needs_the_centre_inside() -> None:
    scores = np.full(5, 0.99)
    edge, outside = np.array([[9.5, 4, 10.5, 5]] * 5), np.array([[9.6, 4, 10.6, 5]] * 5)
    assert mean_attack_success_rate(scores, edge, TRUTH) > 0
    assert mean_attack_success_rate(scores, outside, TRUTH) == 0


def test_attack_success_rate_needs_scores_up_to_one() -> None:
    found = np.array([[4.0, 4.0, 5.0, 5.0]] * 5)
    assert mean_attack_success_rate(np.array([30.0, 1.0000002, 1, 1, 1]), found, TRUTH) == 1
    assert math.isnan(mean_attack_success_rate(np.array([0.5, 0.5, 7, 0.5, 0.5]), found, TRUTH))


def test_a_box_of_the_true_size_is_no_success() -> None:
    assert mean_attack_success_rate(np.full(5, 0.99), TRUTH, TRUTH) == 0


def test_equal_to_the_definition_restated() -> None:
    rng = np.random.default_rng(0)
    truth = np.concatenate([np.zeros((200, 2)), rng.uniform(20, 40, (200, 2))], axis=1)
    start, size = rng.uniform(-5, 20, (200, 2)), rng.uniform(5, 30, (200, 2))
    found, scores = np.concatenate([start, start + size], axis=1), rng.uniform(0, 1, 200)
    rates = []
    for tenth in range(1, 10):
        count = 0
        for box, (_, _, width, height), score in list(zip(found, truth, scores, strict=True))[1:]:
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            inside = 0 <= x + w / 2 <= width and 0 <= y + h / 2 <= height
            count += inside and score > tenth / 10 and w * h < width * height * (tenth / 10)
        rates.append(count / 199)
    assert 0.05 < mean_attack_success_rate(scores, found, truth) == pytest.approx(np.mean(rates), abs=1e-12)


@pytest.mark.parametrize("place", ["score", "benign", "iou", "truth"])
def test_a_missing_value_makes_the_whole_unknown(place: str) -> None:
    values = {"iou": np.zeros(5), "score": np.ones(5), "benign": np.zeros(5), "truth": TRUTH.copy()}
    assert lost_but_sure(*values.values()) == 1
    values[place][3] = np.nan
    assert math.isnan(lost_but_sure(*values.values()))


def test_the_first_score_may_be_missing() -> None:
    scores = np.array([np.nan, 1, 1, 1, 1])
    assert lost_but_sure(np.zeros(5), scores, np.zeros(5), TRUTH) == 1
    assert mean_attack_success_rate(scores, TRUTH, TRUTH) == 0


def test_no_frame_to_count() -> None:
    nothing = np.tile(ABSENT, (3, 1))
    assert math.isnan(lost_but_sure(np.zeros(3), np.ones(3), np.ones(3), nothing))
    assert math.isnan(mean_attack_success_rate(np.ones(1), TRUTH[:1], TRUTH[:1]))
