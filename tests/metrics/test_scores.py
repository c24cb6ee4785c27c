"""Metrics of scores, as ARMORY calls them."""

import json
import math

import numpy as np
import pytest
import torch

from armory_skelevision import metrics
from armory_skelevision.metrics.scores import format_scores, scored_frames
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

TRUTH = [{"boxes": np.array([[0, 0, 10, 10]] * 3, dtype=np.float32)}]


def predict(scores: object, box: tuple[float, ...] = (0, 0, 10, 10)) -> list[dict[str, object]]:
    return [{"boxes": np.array([box] * 3, dtype=np.float32), "scores": scores}]


def test_scores_are_recorded_as_predicted() -> None:
    scores = np.array([0.1, 0.25, 1.0], dtype=np.float32)
    recorded = metrics.frame_scores(TRUTH, predict(scores))
    assert np.array_equal(np.float32(recorded[0]), scores)
    assert json.loads(json.dumps(recorded)) == recorded == metrics.frame_scores(TRUTH, predict(torch.tensor(scores)))


def test_a_tracker_without_scores_has_none() -> None:
    for prediction in ([{"boxes": TRUTH[0]["boxes"]}], predict(None)):
        assert all(map(math.isnan, metrics.frame_scores(TRUTH, prediction)[0]))
        assert math.isnan(metrics.mean_attack_success_rate(TRUTH, prediction)[0])
        assert math.isnan(metrics.lost_but_sure(TRUTH, prediction, prediction)[0])


def test_both_measures_of_a_lost_target() -> None:
    benign, lost = predict([1, 0.5, 0.7]), predict([1, 0.9, 0.6], (20, 20, 30, 30))
    assert metrics.lost_but_sure(TRUTH, lost, benign) == [0.5]  # .9 is above the benign median .6, .6 is not
    assert metrics.lost_but_sure(TRUTH, benign, benign) == [0.0]
    shrunk = predict([1, 0.95, 0.95], (4, 4, 5, 5))
    assert metrics.mean_attack_success_rate(TRUTH, shrunk) == [1.0]
    assert metrics.mean_attack_success_rate(TRUTH, lost) == [0.0]


@pytest.mark.parametrize("scores", [[0.5, 0.5], [[0.5] * 3], [0.5, 0.5, math.inf]])
def test_scores_of_another_shape_are_refused(scores: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        metrics.frame_scores(TRUTH, predict(scores))
    assert caught.value.key == "video 0"


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InvalidTypeError):
        metrics.frame_scores(TRUTH, predict(["high", "low", "low"]))


def test_what_armory_writes_beside_them() -> None:
    from armory.metrics import task

    videos = [[0.5, math.nan], [0.5]]
    assert scored_frames(videos) == 2
    assert format_scores(videos) == "2 scores"
    assert task.get_aggregator_name("frame_scores") == "scored_frames"
