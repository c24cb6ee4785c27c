import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pysot_loop import get_subwindow, track_like_pysot

from armory_skelevision.networks import RPNOutput, SiamRPN
from armory_skelevision.tracking import Crops, TrackerSettings, VideoFrames, Window, network_input, track
from armory_skelevision.tracking.anchors import anchors_cxcywh, decode
from armory_skelevision.tracking.proposals import cosine_window
from armory_skelevision.tracking.tracker import choose, update
from armory_skelevision.tracking.windows import (
    centred_window,
    context_side,
    initial_state,
    resize_crop,
    search_window,
    template_window,
)
from armory_skelevision.validation import InvalidValueError


def textured_video(frames, height, width, seed=0):
    """Smooth random pictures that drift, (F, H, W, 3) float64 RGB in [0, 1]."""
    noise = np.random.default_rng(seed).random((height // 8 + 2, width // 8 + 2, 3))
    big = cv2.resize(noise, (width + 2 * frames, height + 2 * frames), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.stack([big[t : t + height, 2 * t : 2 * t + width] for t in range(frames)])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SiamRPN().eval().requires_grad_(False)


def test_cosine_window_peaks_at_every_anchors_centre():
    window = cosine_window(21, 5).reshape(5, 21, 21)
    assert window.max() == window[3, 10, 10] == 1
    np.testing.assert_allclose(window[1], np.outer(np.hanning(21), np.hanning(21)), atol=1e-12)


@settings(deadline=None)
@given(st.floats(-50, 400), st.floats(-50, 400), st.floats(1, 500))
def test_windows_are_centred_to_the_pixel(cx, cy, side):
    window = centred_window(cx, cy, side)
    assert abs(window.side - side) <= 0.5 or window.side == 1
    # PySOT's rounding sets the middle pixel half a pixel to one and a half before the centre, never beyond it.
    # The tolerance is for centres that vanish beside half a side in float64.
    assert 0.5 - 1e-9 <= cx - (window.x_min + (window.side - 1) / 2) < 1.5 + 1e-9
    assert 0.5 - 1e-9 <= cy - (window.y_min + (window.side - 1) / 2) < 1.5 + 1e-9


@settings(deadline=None, max_examples=60)
@given(st.integers(-40, 90), st.integers(-40, 70), st.integers(1, 160))
def test_window_equals_pysots_subwindow(x_min, y_min, side):
    video = textured_video(2, 48, 64)
    crop = VideoFrames(torch.from_numpy(video)).window(1, Window(x_min, y_min, side))
    centre = (x_min + side / 2, y_min + side / 2)
    expected = get_subwindow(video[1], centre, 31, side, video[0].mean(axis=(0, 1)))[0]
    np.testing.assert_allclose(resize_crop(crop, 31), expected, atol=1e-9)


def test_network_sees_bgr_from_0_to_255():
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1.0
    seen = network_input(red)
    assert seen[0, :, 0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("frames", "constants"), [(25, {}), (12, {"penalty_k": 0.24, "window_influence": 0.5, "learning_rate": 0.25})]
)
def test_boxes_equal_an_independent_loop_of_pysots_equations(network, frames, constants):
    video = textured_video(frames, 120, 160, seed=3)
    box_xywh = [60.0, 40.0, 22.0, 45.0]
    expected_xywh = track_like_pysot(network, video[..., ::-1] * 255, box_xywh, **constants)
    box_xyxy = torch.tensor([60.0, 40, 82, 85], dtype=torch.float64)
    crops = Crops(network, VideoFrames(torch.from_numpy(video).float()), box_xyxy, TrackerSettings(**constants))
    boxes_xyxy = torch.stack([step.box_xyxy for step in track(crops)])
    expected_xyxy = np.concatenate([expected_xywh[:, :2], expected_xywh[:, :2] + expected_xywh[:, 2:]], axis=1)
    assert np.abs(np.diff(expected_xyxy, axis=0)).max() > 0.5, (
        "the oracle's boxes must move for the test to mean anything"
    )
    np.testing.assert_allclose(boxes_xyxy.numpy(), expected_xyxy, atol=1e-3)


def test_first_state_and_windows_follow_pysots_rounding():
    state = initial_state(torch.tensor([10.0, 20, 30, 60]), TrackerSettings())
    assert state.box_cxcywh.tolist() == [19.5, 39.5, 20, 40] and state.box_cxcywh.dtype == torch.float64
    side = math.sqrt((20 + 30) * (40 + 30))
    assert context_side(torch.tensor(20.0), torch.tensor(40.0), 0.5).item() == pytest.approx(side)
    assert template_window(state, TrackerSettings()).side == round(side)
    assert search_window(state, TrackerSettings()).side == round(side * 287 / 127)


def test_state_stays_inside_the_frame_and_finite_for_wild_outputs():
    state = initial_state(torch.tensor([10.0, 20, 30, 60]), TrackerSettings())
    anchors = anchors_cxcywh(21)
    for value in (-1e4, -50.0, 50.0, 1e4):
        wild = RPNOutput(torch.full((1, 10, 21, 21), value), torch.full((1, 20, 21, 21), value))
        proposals = decode(wild, anchors).of(0)
        chosen = choose(state, proposals, TrackerSettings())
        after = update(state, proposals, chosen, (160, 120), TrackerSettings())
        cx, cy, width, height = after.box_cxcywh.tolist()
        assert 0 <= cx <= 160 and 0 <= cy <= 120
        assert 10 <= width <= 160 and 10 <= height <= 120


def test_gradcheck_of_windows_and_resize():
    video = torch.rand(2, 12, 14, 3, dtype=torch.float64, requires_grad=True)

    def crops(pixels):
        frames = VideoFrames(pixels)
        windows = [Window(2, 3, 6), Window(-3, 5, 9), Window(-4, -4, 22)]
        return torch.stack([resize_crop(frames.window(1, window), 7) for window in windows])

    assert torch.autograd.gradcheck(crops, (video,))


def test_gradcheck_of_decoding_and_update():
    generator = torch.Generator().manual_seed(1)
    cls = torch.randn(1, 10, 3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    loc = (0.1 * torch.randn(1, 20, 3, 3, dtype=torch.float64, generator=generator)).requires_grad_()
    box_cxcywh = torch.tensor([30.0, 30, 20, 40], dtype=torch.float64, requires_grad=True)
    constants = TrackerSettings(instance_size=143)

    def step(cls, loc, box_cxcywh):
        state = initial_state(torch.tensor([0.0, 0, 1, 1]), constants)._replace(box_cxcywh=box_cxcywh)
        proposals = decode(RPNOutput(cls, loc), anchors_cxcywh(3).double()).of(0)
        return update(state, proposals, choose(state, proposals, constants), (200, 200), constants).box_cxcywh

    assert torch.autograd.gradcheck(step, (cls, loc, box_cxcywh))


def test_unknown_setting_is_named():
    with pytest.raises(InvalidValueError) as caught:
        TrackerSettings.from_dict({"penalty": 1}, "tracking")
    assert caught.value.key == "tracking.penalty" and "penalty_k" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "value", "expected", "got"),
    [
        ("penalty_k", "0.1", "a number in [0, 100]", "'0.1'"),
        ("penalty_k", float("nan"), "a number in [0, 100]", "nan"),
        ("context", -0.1, "a number in [0, 2]", "-0.1"),
        ("context", 1e300, "a number in [0, 2]", "1e+300"),
        ("instance_size", 40000, "a whole number in [104, 1023]", "40000"),
        ("window_influence", 40, "a number in [0, 1]", "40"),
        ("learning_rate", True, "a number in [0, 1]", "true"),
        ("exemplar_size", 127.5, "a whole number in [103, 511]", "127.5"),
        ("instance_size", 127, "more than exemplar_size, 127", "127"),
    ],
)
def test_wrong_settings_are_refused(name, value, expected, got):
    with pytest.raises(InvalidValueError) as caught:
        TrackerSettings.from_dict({name: value}, "tracking")
    assert (caught.value.key, caught.value.expected, caught.value.got) == (f"tracking.{name}", expected, got)
