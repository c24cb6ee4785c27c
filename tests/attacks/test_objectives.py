import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from doubles import overlaps

from armory_skelevision.attacks.objectives import TargetBox, make_objective
from armory_skelevision.attacks.proposal_losses import LOST_MARGIN, WON_MARGIN
from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY
from armory_skelevision.tracking import Step, TrackerSettings, TrackerState, Window
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.tracking.tracker import penalized_scores
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


@pytest.mark.parametrize("loss", ["l1", "giou", "targeted"])
def test_frames_without_the_target_do_not_count(loss):
    target_box = TargetBox(shift=(1, 0)) if loss == "targeted" else None
    found = TRUTH + torch.tensor([4.0, 3, 4, 3])
    value = make_objective(loss, TRUTH, target_box, None)(found, None)
    absent = torch.tensor([LEFT_OUT_XYXY, LOST_XYXY, (5, 5, 5, 5)])
    objective = make_objective(loss, torch.cat([TRUTH, absent]), target_box, None)
    assert objective(torch.cat([found, 90 + TRUTH, TRUTH[:1]]), None) == value


def test_proposals_of_frames_without_the_target_do_not_count():
    on, off = [0.0, 0, 43, 86], [90.0, 0, 43, 86]
    steps = [step([2.0, 9.0], [on, off]), step([5.0, 0.0], [on, off])]
    value = make_objective("score", TRUTH[:1], None, SETTINGS)(TRUTH[:1], steps[:1])
    truth = torch.cat([TRUTH[:1], torch.tensor([LEFT_OUT_XYXY])])
    assert make_objective("score", truth, None, SETTINGS)(TRUTH, steps) == value


def step(logits, boxes_cxcywh):
    state = initial_state(TRUTH[0], TrackerSettings())
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


def drawn_steps():
    """Two steps with 45 proposals each, scattered around the target; their previous boxes lie beside the true ones."""
    rng, steps = np.random.default_rng(0), []
    for truth in TRUTH:
        state = initial_state(truth + torch.tensor([3.0, -2, 5, 4]), TrackerSettings())
        boxes_cxcywh = rng.normal([0, 0, 43, 86], [8, 8, 6, 12], size=(45, 4))
        proposals = Proposals(torch.from_numpy(rng.random(45)).float(), torch.from_numpy(boxes_cxcywh).float())
        steps.append(Step(Window(0, 0, 100), state, proposals, state, 0))
    return steps


def plain_boxes_xyxy(step):
    """The proposals of a step in pixels of the frame."""
    (px, py, width, height), boxes = step.previous.box_cxcywh.numpy(), step.proposals.boxes_cxcywh.double().numpy()
    margin = (width + height) / 2
    scale = 127 / np.sqrt((width + margin) * (height + margin))
    centre, half = np.array([px, py]) + boxes[:, :2] / scale, boxes[:, 2:] / scale / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def test_the_expected_error_is_a_mean_over_a_softmax_of_penalised_scores():
    steps, expected = drawn_steps(), 0.0
    for truth, each in zip(TRUTH.double().numpy(), steps, strict=True):
        chances = np.exp(penalized_scores(each.previous, each.proposals, SETTINGS).numpy() / 0.05)
        expected += np.average(np.abs(plain_boxes_xyxy(each) - truth).sum(axis=1), weights=chances)
    value = make_objective("expected_l1", TRUTH, None, SETTINGS)(TRUTH, steps)
    assert value.dtype == torch.float64 and value.item() == pytest.approx(expected, rel=1e-9)


def test_score_is_the_mean_margin_of_what_overlaps_with_the_target_by_half():
    steps, expected = drawn_steps(), 0.0
    for truth, each in zip(TRUTH.double().numpy(), steps, strict=True):
        covering = overlaps(plain_boxes_xyxy(each), np.tile(truth, (45, 1))) >= 0.5
        assert 5 < covering.sum() < 40
        scores = each.proposals.scores.double().numpy()[covering]
        expected -= np.maximum(np.log(scores / (1 - scores)), -5).mean()
    value = make_objective("score", TRUTH, None, SETTINGS)(TRUTH, steps)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_an_overlap_of_half_covers_the_target():
    settings = TrackerSettings(context=0.0, exemplar_size=128)  # a box of 16 x 64 is shown at four times its size
    truth = torch.tensor([[10.0, 20, 26, 84]])
    half = step([1.0], [[-2.0, -2, 64, 128]])._replace(
        previous=TrackerState(torch.tensor([18.5, 52.5, 16, 64]).double())
    )
    value = make_objective("score", truth, None, settings)(truth, [half])
    assert float(value) == pytest.approx(-1.0, abs=1e-6)


def test_certain_scores_have_a_finite_margin():
    objective, on = make_objective("score", TRUTH[:1], None, SETTINGS), [0.0, 0, 43, 86]
    certain = step([0.0], [on])
    certain.proposals.scores[0] = 1.0
    assert float(objective(TRUTH[:1], [certain])) == pytest.approx(-math.log(1e7), rel=1e-3)


def test_a_lost_frame_keeps_a_graph_without_a_gradient():
    lost = step([3.0, 0.0], [[90.0, 0, 43, 86]] * 2)
    scores = lost.proposals.scores.requires_grad_()
    make_objective("score", TRUTH[:1], None, SETTINGS)(TRUTH[:1], [lost]).backward()
    assert scores.grad.tolist() == [0, 0]


@pytest.mark.parametrize("loss", ["expected_l1", "score"])
def test_losses_of_proposals_need_the_trackers_steps(loss):
    with pytest.raises(TypeError, match="steps"):
        make_objective(loss, TRUTH, None, SETTINGS)(TRUTH, None)


@pytest.mark.parametrize("loss", ["l1", "giou", "targeted"])
def test_box_losses_sum_over_frames_in_the_precision_of_the_boxes(loss):
    target_box = TargetBox(shift=(0.5, -0.25), scale=2) if loss == "targeted" else None
    objective, boxes_xyxy = make_objective(loss, TRUTH, target_box, None), (TRUTH + torch.tensor([1, 2, 4, 9])).double()
    each = [make_objective(loss, TRUTH[i : i + 1], target_box, None)(boxes_xyxy[i : i + 1], None) for i in (0, 1)]
    value = objective(boxes_xyxy, None)
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, each[0] + each[1])
    # Boxes of an estimator on another device; "meta" stands for any.
    assert objective(boxes_xyxy.to("meta"), None).device.type == "meta"


def test_targets_are_moved_by_the_true_size_and_then_scaled():
    boxes_xyxy = TargetBox(shift=(0.5, -0.25), scale=2).boxes_xyxy(TRUTH.double())
    assert boxes_xyxy.dtype == torch.float64
    assert boxes_xyxy.tolist() == [[10, -10, 50, 70], [12, -10, 52, 70]]
    fixed = TargetBox(box_xyxy=(1, 2, 3, 4)).boxes_xyxy(TRUTH.double())
    assert fixed.dtype == torch.float64 and fixed.tolist() == [[1, 2, 3, 4]] * 2


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
        *(
            ({"box_xyxy": box_xyxy}, "target_box.box_xyxy", "a box with x1 < x2 and y1 < y2")
            for box_xyxy in ([40, 1, 20, 30], [20, 1, 20, 30], [1, 30, 20, 30], [1, 40, 20, 30])
        ),
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
    state = initial_state(TRUTH[0], TrackerSettings())
    boxes = torch.tensor([[0.0, 0, 43, 86], *[[90.0, 0, 43, 86]] * 4])
    scores = torch.cat([logits.sigmoid(), torch.zeros(3)])
    objective = make_objective("rank_margin", TRUTH[:1], None, SETTINGS)
    objective(TRUTH[:1], [Step(Window(0, 0, 100), state, Proposals(scores, boxes), state, 0)]).backward()
    assert logits.grad[0] < 0 < logits.grad[1]
