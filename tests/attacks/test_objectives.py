from dataclasses import replace

import pytest
import torch

from armory_skelevision.attacks.objectives import TargetBox, make_objective
from armory_skelevision.attacks.proposal_losses import LOST_MARGIN, WON_MARGIN
from armory_skelevision.tracking import Step, TrackerSettings, Window
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.tracking.windows import initial_state
from armory_skelevision.validation import InvalidValueError

TRUTH = torch.tensor([[10.0, 20, 30, 60], [12, 20, 32, 60]])
SETTINGS = TrackerSettings()


def test_l1_is_the_sum_of_all_box_errors():
    objective = make_objective("l1", TRUTH, None, None)
    assert objective(TRUTH + torch.tensor([1.0, -2, 3, 0]), None) == 12


def test_giou_goes_on_growing_once_the_boxes_are_apart():
    objective = make_objective("giou", TRUTH, None, None)
    values = [float(objective(TRUTH + torch.tensor([d, 0, d, 0]), None)) for d in (0.0, 10.0, 25.0, 100.0)]
    assert values[0] == 0 and values == sorted(values) and 2 < values[2] < values[3] < 4


@pytest.mark.parametrize(
    ("target_box", "wanted"),
    [
        (TargetBox(shift=(1, 0)), [30, 20, 50, 60]),
        (TargetBox(shift=(0, -0.5)), [10, 0, 30, 40]),
        (TargetBox(scale=0.5), [15, 30, 25, 50]),
        (TargetBox(box_xyxy=(1, 2, 3, 4)), [1, 2, 3, 4]),
    ],
)
def test_a_targeted_attack_is_best_at_its_target(target_box, wanted):
    objective = make_objective("targeted", TRUTH[:1], target_box, None)
    wanted = torch.tensor([wanted], dtype=torch.float32)
    assert objective(wanted, None) == 0
    assert objective(wanted + 1, None) == -4


def step(logits, boxes_cxcywh):
    state = initial_state(TRUTH[0])
    scores = torch.tensor(logits).sigmoid()
    return Step(Window(0, 0, 100), state, Proposals(scores, torch.tensor(boxes_cxcywh)), state, 0)


def test_score_counts_only_the_proposals_that_cover_the_target():
    objective = make_objective("score", TRUTH[:1], None, SETTINGS)
    # The target is 20 x 40 in a template of side 59.16 shown at 127: about 43 x 86 in the crop's middle.
    on, off = [0.0, 0, 43, 86], [90.0, 0, 43, 86]
    value = objective(TRUTH[:1], [step([2.0, 9.0], [on, off])])
    assert float(value) == pytest.approx(-2.0, abs=1e-4)
    assert float(objective(TRUTH[:1], [step([-3.0, 9.0], [on, off])])) == pytest.approx(3.0, abs=1e-4)


def test_score_has_nothing_more_to_gain_from_a_lost_frame():
    objective = make_objective("score", TRUTH[:1], None, SETTINGS)
    on, off = [0.0, 0, 43, 86], [90.0, 0, 43, 86]
    beaten = float(objective(TRUTH[:1], [step([-50.0, 0.0], [on, off])]))
    gone = float(objective(TRUTH[:1], [step([3.0, 0.0], [off, off])]))
    assert beaten == gone == -LOST_MARGIN


def five(logits, boxes_cxcywh):
    """A step with the five proposals of a single position; those that are not given are out of the race."""
    missing = 5 - len(logits)
    return step([*logits, *[-30.0] * missing], boxes_cxcywh + boxes_cxcywh[-1:] * missing)


def test_the_expected_error_is_that_of_the_chosen_box_where_the_choice_is_clear():
    settings = replace(SETTINGS, penalty_k=0.0, window_influence=0.0)
    objective = make_objective("expected_l1", TRUTH[:1], None, settings)
    scale = 127 / 59.1608  # pixels of the crop for each of the frame
    on, beside = [0.5 * scale, 0.5 * scale, 20 * scale, 40 * scale], [10.5 * scale, 0.5 * scale, 20 * scale, 40 * scale]
    assert float(objective(TRUTH[:1], [five([9.0, -9.0], [on, beside])])) == pytest.approx(0, abs=1e-3)
    assert float(objective(TRUTH[:1], [five([-9.0, 9.0], [on, beside])])) == pytest.approx(20, abs=1e-3)


def test_the_expected_error_pulls_on_those_that_are_not_chosen_too():
    settings = replace(SETTINGS, penalty_k=0.0, window_influence=0.0)
    seen = five([2.0, 1.0], [[0.0, 0, 43, 86], [90.0, 0, 43, 86]])
    scores = seen.proposals.scores.requires_grad_()
    make_objective("expected_l1", TRUTH[:1], None, settings)(TRUTH[:1], [seen]).backward()
    assert scores.grad[0] < 0 < scores.grad[1]


@pytest.mark.parametrize(
    ("loss", "target_box", "key", "expected", "got"),
    [
        ("targeted", None, "target_box", "one for loss 'targeted'", "none"),
        ("l1", TargetBox(scale=2), "target_box", "none with loss 'l1'", "one"),
        ("score", None, "loss", "'l1', 'giou' or 'targeted'", "'score'"),
        ("expected_l1", None, "loss", "'l1', 'giou' or 'targeted'", "'expected_l1'"),
    ],
)
def test_what_does_not_go_together_is_refused(loss, target_box, key, expected, got):
    with pytest.raises(InvalidValueError) as caught:
        make_objective(loss, TRUTH, target_box, None)
    assert (caught.value.key, caught.value.expected, caught.value.got) == (key, expected, got)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ({"place": 1}, "target_box.place", "a known key"),
        ({}, "target_box.shift", "a target other than the true box"),
        ({"scale": -1}, "target_box.scale", "a number in (0, 100]"),
        ({"shift": [1]}, "target_box.shift", "[a number in [-100, 100], a number in [-100, 100]]"),
        ({"box_xyxy": [1, 2]}, "target_box.box_xyxy", f"[{', '.join(['a number in [-100000, 100000]'] * 4)}] or null"),
        ({"box_xyxy": [40, 1, 20, 30]}, "target_box.box_xyxy", "a box with x1 < x2 and y1 < y2"),
    ],
)
def test_invalid_targets_are_refused(values, key, expected):
    with pytest.raises(InvalidValueError) as caught:
        TargetBox.from_dict(values, "target_box")
    assert (caught.value.key, caught.value.expected) == (key, expected)


def test_the_expected_giou_is_that_of_the_chosen_box_where_the_choice_is_clear():
    settings = replace(SETTINGS, penalty_k=0.0, window_influence=0.0)
    objective = make_objective("expected_giou", TRUTH[:1], None, settings)
    scale = 127 / 59.1608
    on, beside = [0.5 * scale, 0.5 * scale, 20 * scale, 40 * scale], [20.5 * scale, 0.5 * scale, 20 * scale, 40 * scale]
    assert float(objective(TRUTH[:1], [five([9.0, -9.0], [on, beside])])) == pytest.approx(0, abs=1e-3)
    # Side by side they have no overlap, and their hull nothing else: GIoU is 0.
    assert float(objective(TRUTH[:1], [five([-9.0, 9.0], [on, beside])])) == pytest.approx(1, abs=1e-3)


def test_the_rank_margin_is_that_of_the_best_proposals_by_penalised_scores():
    settings = replace(SETTINGS, penalty_k=0.0, window_influence=0.0)
    objective = make_objective("rank_margin", TRUTH[:1], None, settings)
    on, between, off = [0.0, 0, 43, 86], [20.0, 0, 43, 86], [90.0, 0, 43, 86]
    scores = torch.tensor([2.0, 0.5]).sigmoid()

    def margin(*logits):
        return float(objective(TRUTH[:1], [five(list(logits), [on, off, between])]))

    # A smooth maximum over two proposals of which one has a score of 0 is a little above the other's score.
    assert margin(2.0, 0.5, 9.0) == pytest.approx(float(scores[1] - scores[0]), abs=1e-3)
    assert margin(-9.0, 9.0, 9.0) == WON_MARGIN
    assert margin(2.0, 0.5, 9.0) == margin(2.0, 0.5, -9.0), "what is neither on the target nor away from it counts"


def test_the_rank_margin_has_a_gradient_towards_winning():
    logits = torch.tensor([1.0, 0.0], requires_grad=True)
    state = initial_state(TRUTH[0])
    boxes = torch.tensor([[0.0, 0, 43, 86], *[[90.0, 0, 43, 86]] * 4])
    scores = torch.cat([logits.sigmoid(), torch.zeros(3)])
    objective = make_objective("rank_margin", TRUTH[:1], None, SETTINGS)
    objective(TRUTH[:1], [Step(Window(0, 0, 100), state, Proposals(scores, boxes), state, 0)]).backward()
    assert logits.grad[0] < 0 < logits.grad[1]
