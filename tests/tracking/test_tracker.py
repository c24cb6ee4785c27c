"""One step of the recurrence, on proposals drawn at random, against PySOT's equations in numpy."""

import numpy as np
import pytest
import torch

from armory_skelevision.tracking import PointSettings, TrackerSettings, TrackerState
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.tracking.tracker import check_finite, choose, crop_scale, penalized_scores, update
from armory_skelevision.validation import InvalidValueError

STATE = TrackerState(torch.tensor([70.0, 50, 22, 45], dtype=torch.float64))
FRAME_WH = (160, 120)
KINDS = pytest.mark.parametrize("settings", [TrackerSettings(context=0.3, min_size=4), PointSettings()], ids=["5", "1"])


def drawn_proposals(settings, side=3, seed=0):
    rng = np.random.default_rng(seed)
    count = side**2 * settings.per_position
    sizes = np.array([40, 90]) * np.exp(rng.normal(scale=0.4, size=(count, 2)))
    boxes_cxcywh = np.concatenate([rng.normal(scale=40, size=(count, 2)), sizes], axis=1)
    return Proposals(torch.from_numpy(rng.random(count)), torch.from_numpy(boxes_cxcywh))


def side_of(width, height, context):
    margin = context * (width + height)
    return np.sqrt((width + margin) * (height + margin))


def penalty_of(width, height, scale, settings):
    """PySOT's penalty of the sizes of proposals, in pixels of the crop."""
    old_width, old_height = STATE.box_cxcywh[2:].numpy() * scale
    size = side_of(width, height, settings.context) / side_of(old_width, old_height, settings.context)
    shape = (old_width / old_height) / (width / height)
    return np.exp(-(np.maximum(size, 1 / size) * np.maximum(shape, 1 / shape) - 1) * settings.penalty_k)


@KINDS
def test_scores_are_penalised_and_blended_with_the_window_as_in_pysot(settings):
    proposals, scale = drawn_proposals(settings), 127 / side_of(22, 45, settings.context)
    assert crop_scale(STATE, settings).item() == pytest.approx(scale, rel=1e-12)
    penalty = penalty_of(*proposals.boxes_cxcywh[:, 2:].T.numpy(), scale, settings)
    hann = np.tile(np.outer(np.hanning(3), np.hanning(3)).flatten(), settings.per_position)
    influence = settings.window_influence
    expected = penalty * proposals.scores.numpy() * (1 - influence) + hann * influence
    np.testing.assert_allclose(penalized_scores(STATE, proposals, settings), expected, rtol=1e-12)
    assert choose(STATE, proposals, settings) == expected.argmax()


@KINDS
def test_the_state_follows_the_chosen_proposal_as_in_pysot(settings):
    proposals, scale = drawn_proposals(settings), 127 / side_of(22, 45, settings.context)
    for chosen in range(len(proposals.scores)):
        cx, cy, width, height = proposals.boxes_cxcywh[chosen].numpy()
        rate = penalty_of(width, height, scale, settings) * proposals.scores[chosen].item() * settings.learning_rate
        centre = np.array([70, 50]) + np.array([cx, cy]) / scale
        size = np.array([22, 45]) * (1 - rate) + np.array([width, height]) / scale * rate
        found = update(STATE, proposals, chosen, FRAME_WH, settings).box_cxcywh
        np.testing.assert_allclose(found, [*centre, *size], rtol=1e-12)


@KINDS
def test_steps_are_float64_whatever_the_network_is(settings):
    single = Proposals(*(values.float() for values in drawn_proposals(settings)))
    double = Proposals(*(values.double() for values in single))
    scores, states = zip(
        *(
            (penalized_scores(STATE, each, settings), update(STATE, each, 4, FRAME_WH, settings).box_cxcywh)
            for each in (single, double)
        ),
        strict=True,
    )
    for found, expected in (scores, states):
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("box_cxcywh", "expected"),
    [
        ((-400.0, 400, 4, 4000), [0, 120, 10, 120]),
        ((400.0, -400, 4000, 4), [160, 0, 160, 10]),
    ],
)
def test_the_state_is_kept_inside_the_frame(box_cxcywh, expected):
    settings = TrackerSettings(learning_rate=1.0, penalty_k=0.0)  # the size found replaces the previous one
    scale = crop_scale(STATE, settings)
    proposals = Proposals(torch.ones(1), torch.tensor([box_cxcywh]).double() * scale)
    assert update(STATE, proposals, 0, FRAME_WH, settings).box_cxcywh.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_named_with_their_frame(value):
    check_finite([torch.zeros(2), torch.ones(1)], "the heads' output", 3)
    with pytest.raises(InvalidValueError) as caught:
        check_finite([torch.zeros(2), torch.tensor([0, value])], "the heads' output", 3)
    assert caught.value.key == "model" and caught.value.got == "NaN or infinity in the heads' output, frame 3"
