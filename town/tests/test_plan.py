"""Plans of videos: reproducible, and the tracked person is in view."""

from __future__ import annotations

import numpy as np
import pytest
from skelevision_town import occlusion, pedestrians
from skelevision_town.camera_placement import person_box_xyxy, stature_px
from skelevision_town.plan import HEIGHT, WIDTH, CameraTrajectory, GreenScreen, Prop, look_at
from skelevision_town.sampling import sample_video

from armory_skelevision.validation import InvalidValueError

SEEDS = [0, 1, 5, 100]


def test_equal_seeds_give_equal_plans():
    one, two = sample_video(7, 12), sample_video(7, 12)
    assert (one.sky, one.town, one.walker, one.others, one.props, one.screen) == (
        two.sky, two.town, two.walker, two.others, two.props, two.screen,
    )  # fmt: skip
    assert np.array_equal(one.camera.positions, two.camera.positions)
    assert np.array_equal(one.camera.rotations, two.camera.rotations)


def test_other_seeds_give_other_plans():
    assert len({sample_video(seed, 12).walker for seed in range(5)}) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_tracked_person_is_seen(seed):
    plan = sample_video(seed, 38)
    feet = plan.walker.path(38)
    box_xyxy = person_box_xyxy(plan.camera, feet)
    assert box_xyxy[:, :2].min() > 0 and box_xyxy[:, 2].max() < WIDTH and box_xyxy[:, 3].max() < HEIGHT
    assert stature_px(plan.camera, feet).min() > 60 and stature_px(plan.camera, feet).max() < 200
    assert pedestrians.occluded_fraction(plan.camera, feet, plan.props, plan.others).max() <= 0.7
    assert np.linalg.norm(feet[-1] - feet[0]) > 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_pedestrians_keep_their_distance(seed):
    plan = sample_video(seed, 38)
    assert 2 <= len(plan.others) <= 5
    paths = [walker.path(38) for walker in (plan.walker, *plan.others)]
    for i, path in enumerate(paths):
        assert all(np.linalg.norm(path - other, axis=1).min() > 0.6 for other in paths[:i])
        assert occlusion.screen_distance(path, plan.screen).min() > 0.3
        assert all(occlusion.prop_distance(path, prop).min() > 0.3 for prop in plan.props)


@pytest.mark.parametrize("seed", SEEDS)
def test_screen_is_near_and_faces_the_camera(seed):
    plan = sample_video(seed, 38)
    corners = plan.camera.project(plan.screen.corners(), 19)
    assert (corners[:, 2] > 1).all()
    assert corners[0, 0] < corners[1, 0] and corners[3, 0] < corners[2, 0]  # left before right
    assert corners[0, 1] < corners[3, 1] and corners[1, 1] < corners[2, 1]  # top before bottom
    middle = plan.walker.path(38).mean(0)
    assert np.linalg.norm(np.asarray(plan.screen.centre)[:2] - middle[:2]) < 3.0


def test_projection_of_known_points():
    eye = np.array([0.0, -10.0, 2.0])
    camera = CameraTrajectory(500.0, eye[None], look_at(eye, np.array([0.0, 0.0, 2.0]))[None])
    points = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    expected = [[320, 240, 10], [370, 240, 10], [320, 190, 10]]
    assert np.allclose(camera.project(points, 0), expected)


def test_sight_line_through_a_post_is_blocked():
    eyes, points = np.array([[0.0, -10.0, 1.5]]), np.array([[[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, -9.0, 1.0]]])
    post = occlusion.prop_cylinders(Prop("lamp_post", 0, (0.0, -5.0, 0.0), 0.0))
    assert occlusion.is_blocked(eyes, points, post)[0, :, 0].tolist() == [True, False, False]


def test_screen_corners_go_round_from_the_upper_left():
    corners = GreenScreen((1.0, 2.0, 0.1), 0.0, 2.0, 1.5).corners()
    assert np.allclose(corners, [[0, 2, 1.6], [2, 2, 1.6], [2, 2, 0.1], [0, 2, 0.1]])


@pytest.mark.parametrize("frames", [1, 0, -3])
def test_too_short_a_video_is_refused(frames):
    with pytest.raises(InvalidValueError) as caught:
        sample_video(0, frames)
    assert (caught.value.key, caught.value.got) == ("frames", str(frames))
