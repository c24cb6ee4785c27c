"""A wall is followed through a camera's movements that are known."""

import numpy as np
import pytest
from moving_camera import CORNERS_XY, film, texture

from armory_skelevision.datasets import screen_following
from armory_skelevision.datasets.screen_following import follow_screen
from armory_skelevision.validation import InvalidValueError


def test_corners_follow_the_camera_within_half_a_pixel():
    frames, true = film()
    found = follow_screen(iter(frames), CORNERS_XY)
    assert found.shape == (20, 4, 2)
    assert np.abs(true[-1] - true[0]).max() > 20
    assert np.abs(found - true).max() < 0.5


def test_key_frames_are_changed_where_the_first_one_is_out_of_sight():
    frame = film(frames=1)[0][0]
    steps = [np.roll(frame, 6 * t, axis=1) for t in range(20)]  # leaves on one side
    found = follow_screen(steps, CORNERS_XY)
    expected = CORNERS_XY + 6 * np.arange(20)[:, None, None] * [1, 0]
    inside = expected[..., 0].max(axis=1) < 235
    assert inside.sum() > 15
    assert np.abs(found - expected)[inside].max() < 1


def test_what_moves_on_its_own_is_not_followed():
    frames, true = film(frames=12)
    walker, boxes_xyxy = texture(seed=1)[:90, :60], []
    for t, frame in enumerate(frames):
        x = 40 + 8 * t  # in front of the wall, the other way and faster
        frame[40:130, x : x + 60] = walker[:, : max(0, 240 - x)]
        boxes_xyxy.append((x - 4, 36, x + 64, 134))
    assert np.abs(follow_screen(frames, CORNERS_XY, boxes_xyxy) - true).max() < 1.5


def test_a_cut_and_a_blank_wall_are_refused_by_frame():
    frames, _ = film(frames=3)
    cut = np.zeros_like(frames[0])
    with pytest.raises(InvalidValueError) as caught:
        follow_screen([*frames, cut], CORNERS_XY)
    assert caught.value.key == "screen, frame 3"
    with pytest.raises(InvalidValueError) as caught:
        follow_screen([cut, cut], CORNERS_XY)
    assert caught.value.key == "screen, frame 1"


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0], [10, 10], [10, 0], [0, 10]],  # crosses itself
        [[0, 0], [0, 10], [10, 10], [10, 0]],  # anticlockwise
        [[0, 0], [1, 0], [1, 9], [0, 9]],  # too small
        [[0, 0], [9, 0], [9, 9]],
        [[0, 0], [9, 0], [9, 9], [np.nan, 9]],
    ],
)
def test_what_is_no_screen_is_refused(corners):
    with pytest.raises(InvalidValueError) as caught:
        screen_following.read_corners(corners)
    assert caught.value.key == "screen"
