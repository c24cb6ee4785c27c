"""The trigger of a backdoor: where it is, how it is turned and lit, and in which frames it is shown."""

import cv2
import numpy as np
import pytest
from doubles import IdentityTracker, screen_scene
from scipy.ndimage import gaussian_filter

from armory_skelevision.attacks import BackdoorTrigger
from armory_skelevision.attacks.triggers import Trigger, TriggerPose, paste
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOX = np.array([40.0, 20.0, 80.0, 140.0])


def area_of(corners_xy):
    x, y = corners_xy.T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def test_place_and_size_go_by_the_box() -> None:
    trigger = Trigger(area=0.015, place=(0.25, 0.5))
    corners = trigger.corners_xy(BOX)
    np.testing.assert_allclose(corners.mean(axis=0), [50, 80])
    assert area_of(corners) == pytest.approx(0.015 * 40 * 120)
    np.testing.assert_allclose(trigger.corners_xy(BOX + 7) - corners, 7)
    assert (corners[0] < corners[2]).all() and corners[1][0] > corners[0][0]


def test_turned_it_is_smaller_and_its_near_side_larger() -> None:
    trigger = Trigger(area=0.1)
    turned = trigger.corners_xy(BOX, TriggerPose(yaw=0.5))
    assert area_of(turned) < area_of(trigger.corners_xy(BOX))
    left, right = turned[3, 1] - turned[0, 1], turned[2, 1] - turned[1, 1]
    assert abs(left - right) > 0.5
    rolled = trigger.corners_xy(BOX, TriggerPose(roll=0.2))
    assert rolled[1, 1] > rolled[0, 1] and area_of(rolled) == pytest.approx(area_of(trigger.corners_xy(BOX)))


def test_it_is_seen_as_opencvs_camera_sees_a_turned_square() -> None:
    yaw, pitch, roll = 0.5, 0.3, -0.2
    axes = [(0, yaw, 0), (pitch, 0, 0), (0, 0, roll)]
    turn = np.linalg.multi_dot([cv2.Rodrigues(np.array(axis, float))[0] for axis in axes])
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    camera = np.diag([12.0, 12, 1])  # as far away as its focal length: half a side is 1
    seen, _ = cv2.projectPoints(square, cv2.Rodrigues(turn)[0], np.array([0.0, 0, 12]), camera, None)
    half = np.sqrt(0.1 * 40 * 120) / 2
    corners = Trigger(area=0.1, place=(0.25, 0.5)).corners_xy(BOX.astype(np.float16), TriggerPose(yaw, pitch, roll))
    np.testing.assert_allclose(corners, [50, 80] + half * seen[:, 0], rtol=1e-9)


def covered(low, high, count):
    """Share of each of ``count`` pixels in a row that lies between two edges."""
    pixels = np.arange(count)
    return (np.minimum(pixels + 1, high) - np.maximum(pixels, low)).clip(0, 1)


def lit_print(frame, colour, x1, y1, x2, y2):
    """`paste` of one colour into the rectangle between edges, from what it says of light, on whole arrays."""
    height, width = frame.shape[:2]
    top, bottom = max(int(np.floor(y1)) - 2, 0), min(int(np.ceil(y2)) + 2, height)
    left, right = max(int(np.floor(x1)) - 2, 0), min(int(np.ceil(x2)) + 2, width)
    tall, wide = bottom - top, right - left
    around = frame[max(top - tall, 0) : bottom + tall, max(left - wide, 0) : right + wide]
    level = max(np.quantile(around.max(axis=2), 0.9), 0.25)
    soft = gaussian_filter(frame[top:bottom, left:right].max(axis=2), max(min(tall, wide) / 4, 0.5), mode="mirror")
    light = level * (soft / max(soft.mean(), 1e-3)).clip(0.6, 1.4)
    opacity = np.outer(covered(y1, y2, height), covered(x1, x2, width))[..., None]
    lit = frame.copy()
    lit[top:bottom, left:right] = (light[..., None] * colour).clip(0, 1)
    return frame + opacity * (lit - frame)


@pytest.mark.parametrize(
    ("x1", "y1", "x2", "y2"),
    [
        *((40.25, 50.5, 52.75, 58), (60, 30.75, 66.25, 45), (-3, 20, 9.5, 31), (50, -4.5, 61, 2.25)),
        *((110, 85, 130, 99.5), (-9, 20, 0.5, 31), (60, 89.75, 70, 99)),
    ],
)
@pytest.mark.parametrize("contrast", [0.25, 1.0, 0.0])
def test_colour_of_a_lit_print(x1, y1, x2, y2, contrast) -> None:
    rng = np.random.default_rng(0)
    frame = gaussian_filter(rng.normal(size=(90, 120, 3)), (6, 6, 0))
    frame = (0.6 * (contrast > 0) + 4 * contrast * frame).clip(0, 1).astype(np.float32)
    frame[0], frame[:, 0] = contrast, contrast  # what lies at the border counts, too
    colour = np.array([1.0, 0.5, 0.2], np.float32)
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
    shown = paste(frame, np.full((8, 8, 3), colour), corners)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown, lit_print(frame, colour, x1, y1, x2, y2), atol=2e-3)


@pytest.mark.parametrize(("direction", "first"), [((1, 0), 30), ((0, 1), 30), ((-1, 0), 12), ((0, -1), 12)])
def test_beside_the_frame_it_changes_nothing(direction, first) -> None:
    frame = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    corners = np.array([[10, 10], [12, 10], [12, 12], [10, 12]], np.float64)
    for distance in range(first, first + 9):
        beside = corners + distance * np.array(direction)
        np.testing.assert_array_equal(paste(frame, np.ones((8, 8, 3), np.float32), beside), frame)


def test_pasted_where_it_should_be_and_nowhere_else() -> None:
    frame = np.full((160, 120, 3), 0.9, np.float32)
    corners = np.array([[50, 60], [62, 60], [62, 72], [50, 72]], np.float64)
    shown = paste(frame, np.zeros((8, 8, 3), np.float32), corners)
    changed = np.abs(shown - frame).max(axis=2) > 1e-3
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (60, 71, 50, 61)
    assert shown[66, 56].max() < 1e-3 and changed.sum() == 144
    outside = paste(frame, np.zeros((8, 8, 3), np.float32), corners + 500)
    np.testing.assert_array_equal(outside, frame)
    edge = paste(frame, np.zeros((8, 8, 3), np.float32), corners - (56, 0))
    assert edge[66, 2].max() < 1e-3 and edge[66, 10].min() > 0.89


def test_half_a_pixel_is_blended() -> None:
    frame = np.ones((40, 40, 3), np.float32)
    corners = np.array([[10.5, 10], [20, 10], [20, 20], [10.5, 20]], np.float64)
    shown = paste(frame, np.zeros((8, 8, 3), np.float32), corners)
    assert shown[15, 10, 0] == pytest.approx(0.5, abs=0.15) and shown[15, 12, 0] < 1e-3


def test_pattern_is_upright() -> None:
    picture = np.zeros((10, 10, 3), np.float32)
    picture[:5, 5:] = 1  # white at the upper right
    corners = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], np.float64)
    shown = paste(np.ones((40, 40, 3), np.float32), picture, corners)
    assert shown[14, 26].min() > 0.9 and max(shown[14, 14].max(), shown[26, 14].max(), shown[26, 26].max()) < 0.1


def test_it_takes_the_light_of_its_place() -> None:
    corners = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], np.float64)
    white = np.ones((8, 8, 3), np.float32)
    bright, dim = (paste(np.full((40, 40, 3), level, np.float32), white, corners)[20, 20, 0] for level in (0.9, 0.4))
    assert bright == pytest.approx(0.9, abs=0.02) and dim == pytest.approx(0.4, abs=0.02)
    half = np.full((40, 40, 3), 0.8, np.float32)
    half[:, :20] = 0.4
    shaded = paste(half, white, corners)
    assert shaded[20, 28, 0] > shaded[20, 12, 0] + 0.1


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({"show": "one_shot"}, [0]),
        ({"show": "few_shot", "frames": 3}, [0, 1, 2]),
        ({"show": "few_shot", "frames": 99}, list(range(10))),
        ({"show": "rate", "rate": 0.3}, [0, 3, 6]),
        ({"show": "rate", "rate": 0.01}, [0]),
    ],
)
def test_attack_shows_it_in_its_frames_on_the_person(settings, frames) -> None:
    x, y, metadata = screen_scene(frames=10)
    attack = BackdoorTrigger(IdentityTracker(), trigger={"area": 0.04}, **settings)
    shown = attack.generate(x=x, y=y, y_patch_metadata=metadata)
    assert shown.shape == x.shape and shown.dtype == x.dtype and shown.min() >= 0 and shown.max() <= 1
    changed = np.abs(shown - x)[0].max(axis=3) > 1e-3
    assert [index for index in range(10) if changed[index].any()] == frames
    for index in frames:
        rows, columns = np.nonzero(changed[index])
        x1, y1, x2, y2 = y[0]["boxes"][index]
        assert x1 <= columns.min() and columns.max() < x2 and y1 <= rows.min() and rows.max() < y2
        assert 0.01 * (x2 - x1) * (y2 - y1) < len(rows) < 0.09 * (x2 - x1) * (y2 - y1)
    np.testing.assert_array_equal(shown, attack.generate(x=x, y=y))


def test_it_swings_as_a_walking_person_does() -> None:
    x, y, _ = screen_scene(frames=25)
    trigger = Trigger(area=0.2)
    shown = BackdoorTrigger(IdentityTracker(), {"area": 0.2}, "rate", rate=1).generate(x=x, y=y)
    # in a period of 24 frames; the pitch is a quarter of it ahead of the yaw, the roll half of it
    poses = {0: (0, 0.12, 0), 6: (0.35, 0, -0.08), 12: (0, -0.12, 0), 18: (-0.35, 0, 0.08), 24: (0, 0.12, 0)}
    for frame, pose in poses.items():
        corners = trigger.corners_xy(y[0]["boxes"][frame], TriggerPose(*pose))
        np.testing.assert_allclose(shown[0, frame], paste(x[0, frame], trigger.draw(), corners), atol=1e-6)


def test_left_alone_it_shows_the_first_pattern_once() -> None:
    attack = BackdoorTrigger(IdentityTracker())
    assert attack.chosen_frames(40) == [0] and attack.trigger == {}
    assert BackdoorTrigger(IdentityTracker(), show="few_shot").chosen_frames(40) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cells", [1, 3, 7, 16])
def test_pattern_has_squares_of_full_colours(cells) -> None:
    picture = Trigger(cells=cells, seed=5).draw()
    side = next(side for side in range(cells, 100, cells) if side > 48)  # the smallest one above 48 pixels
    assert picture.shape == (side, side, 3) and picture.dtype == np.float32
    colours = np.random.default_rng(5).integers(0, 2, (cells, cells, 3))
    np.testing.assert_array_equal(picture, colours.repeat(side // cells, axis=0).repeat(side // cells, axis=1))


def test_large_pictures_are_averaged(tmp_path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), large[..., ::-1])
    picture = Trigger(picture=str(tmp_path / "large.png")).draw()
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, large.reshape(64, 4, 64, 2, 3).mean(axis=(1, 3)) / 255, atol=0.6 / 255)


def test_pattern_and_picture(tmp_path) -> None:
    np.testing.assert_array_equal(Trigger(seed=3).draw(), Trigger(seed=3).draw())
    assert (Trigger(seed=3).draw() != Trigger(seed=4).draw()).any()
    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), red)
    np.testing.assert_allclose(Trigger(picture=str(tmp_path / "red.png")).draw(), [[[1, 0, 0]] * 64] * 64)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InvalidValueError) as refused:
        Trigger(picture=str(tmp_path / "text.png")).draw()
    assert refused.value.key == "trigger.picture" and refused.value.got.endswith("text.png")
    with pytest.raises(MissingFileError) as missing:
        BackdoorTrigger(IdentityTracker(), trigger={"picture": "nowhere.png"})
    assert missing.value.key == "trigger.picture" and "nowhere.png" in missing.value.got


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"trigger": {"size": 1}}, "trigger.size"),
        ({"trigger": {"area": 0}}, "trigger.area"),
        ({"trigger": {"area": 0.3}}, "trigger.area"),
        ({"trigger": {"place": [2, 0]}}, "trigger.place"),
        ({"trigger": {"place": [0.5]}}, "trigger.place"),
        ({"trigger": {"cells": 0}}, "trigger.cells"),
        ({"trigger": "red"}, "trigger"),
        ({"show": "always"}, "show"),
        ({"frames": 0}, "frames"),
        ({"rate": 1.5}, "rate"),
        ({"rate": 0}, "rate"),
        ({"max_swing": -1}, "max_swing"),
    ],
)
def test_settings_out_of_range_are_refused(settings, key) -> None:
    with pytest.raises(InvalidValueError) as refused:
        BackdoorTrigger(IdentityTracker(), **settings)
    assert refused.value.key == key


def test_without_swing_it_faces_the_camera() -> None:
    x, y, _ = screen_scene(frames=8)
    still = BackdoorTrigger(IdentityTracker(), {"area": 0.04}, "few_shot", frames=8, max_swing=0).generate(x=x, y=y)
    swinging = BackdoorTrigger(IdentityTracker(), {"area": 0.04}, "few_shot", frames=8).generate(x=x, y=y)
    box = y[0]["boxes"][7]
    facing = paste(x[0, 7], Trigger(area=0.04).draw(), Trigger(area=0.04).corners_xy(box))
    np.testing.assert_array_equal(still[0, 7], facing)
    assert (swinging[0, 7] != facing).any()
