"""Gait: all joints are there, limbs keep their length, and feet rest while they carry the body."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from skelevision_town.gait import HEEL_RISE, STANCE, pose
from skelevision_town.person import sample_person

from armory_skelevision.keypoints import KEYPOINTS

PEOPLE = [sample_person(np.random.default_rng(seed)) for seed in range(40)]
PHASES = np.arange(60) / 60
SIDES = ("left", "right")


@functools.cache
def poses(person, phases, walking):
    return [pose(person, phase, walking) for phase in phases]


def track(person, joint, phases=PHASES, walking=True):
    return np.array([joints[joint] for joints in poses(person, tuple(phases), walking)])


@pytest.mark.parametrize("walking", [True, False])
def test_coco_joints_are_complete(walking):
    joints = pose(PEOPLE[0], 0.3, walking)
    assert len(KEYPOINTS) == 17 and set(KEYPOINTS) <= set(joints)
    assert all(joints[name].shape == (3,) and np.isfinite(joints[name]).all() for name in joints)


@pytest.mark.parametrize(
    ("start", "end", "share"),
    [("hip", "knee", 0.245), ("shoulder", "elbow", 0.172), ("elbow", "wrist", 0.152),
     ("knee", "ankle", None)],
)  # fmt: skip
def test_limbs_keep_their_length(start, end, share):
    for person in PEOPLE:
        length = (share or person.legs - 0.28) * person.height
        for side in SIDES:
            limb = track(person, f"{side}_{start}") - track(person, f"{side}_{end}")
            np.testing.assert_allclose(np.linalg.norm(limb, axis=1), length, rtol=0.01)


def test_standing_legs_have_the_lengths_of_walking_legs():
    for person in PEOPLE:
        joints = pose(person, 0.0, walking=False)
        shin = np.linalg.norm(joints["left_knee"] - joints["left_ankle"])
        np.testing.assert_allclose(shin, (person.legs - 0.28) * person.height, rtol=0.01)


@pytest.mark.parametrize(("side", "offset"), [("left", 0.0), ("right", 0.5)])
@pytest.mark.parametrize(("joint", "until"), [("ankle", HEEL_RISE), ("toe", STANCE)])
def test_stance_foot_does_not_slide(side, offset, joint, until):
    since_landing = np.linspace(0.08, until - 1e-6, 25)
    for person in PEOPLE:
        place = track(person, f"{side}_{joint}", since_landing - offset)
        on_the_ground = place + np.outer(since_landing * person.stride, [1.0, 0.0, 0.0])
        assert np.ptp(on_the_ground, axis=0).max() < 1e-3


def test_swinging_foot_is_lifted_and_one_toe_always_carries():
    for person in PEOPLE:
        ankles, toes = (
            np.stack([track(person, f"{side}_{joint}")[:, 2] for side in SIDES]) for joint in ("ankle", "toe")
        )
        assert (ankles.max(axis=1) > 0.045 * person.height + person.lift).all()
        assert (toes.min(axis=0) < 0.055 * person.height).all()


def test_toes_stay_above_the_ground():
    assert min(track(person, "left_toe")[:, 2].min() for person in PEOPLE) > 0


def test_standing_toes_stay_above_the_ground():
    assert min(pose(person, 0.0, walking=False)[f"{side}_toe"][2] for person in PEOPLE for side in SIDES) > 0


def test_cycle_closes_without_a_jump():
    steps = np.linspace(0.0, 1.0, 501)
    for person in PEOPLE[:4]:
        path = np.stack([track(person, joint, steps) for joint in KEYPOINTS])
        np.testing.assert_allclose(path[:, 0], path[:, -1], atol=1e-6)
        assert np.linalg.norm(np.diff(path, axis=1), axis=-1).max() < 0.05


def test_half_a_cycle_later_the_sides_have_changed_places():
    person, mirror = PEOPLE[0], np.array([1.0, -1.0, 1.0])
    now, later = pose(person, 0.1), pose(person, 0.6)
    for joint in ("ankle", "knee", "hip", "shoulder", "elbow", "wrist"):
        np.testing.assert_allclose(now[f"left_{joint}"], later[f"right_{joint}"] * mirror, atol=1e-9)


def test_arms_swing_against_the_legs():
    for person in PEOPLE:
        wrist, ankle = (track(person, f"left_{joint}")[:, 0] for joint in ("wrist", "ankle"))
        assert np.corrcoef(wrist, ankle)[0, 1] < -0.5


def test_knees_lie_before_the_line_from_hip_to_ankle():
    for person in PEOPLE:
        knee, hip, ankle = (track(person, f"right_{joint}") for joint in ("knee", "hip", "ankle"))
        along = (ankle - hip) / np.linalg.norm(ankle - hip, axis=1, keepdims=True)
        aside = (knee - hip) - along * np.sum((knee - hip) * along, axis=1, keepdims=True)
        assert (aside[:, 0] > -1e-9).all() and aside[:, 0].max() > 0.05


def test_faces_look_forwards():
    for person in PEOPLE:
        joints = pose(person, 0.2)
        assert joints["nose"][0] > joints["left_eye"][0] > joints["left_ear"][0]
        assert joints["left_eye"][1] > joints["right_eye"][1]


def test_standing_people_stand_still():
    for joint in KEYPOINTS:
        assert np.ptp(track(PEOPLE[3], joint, walking=False), axis=0).max() < 1e-9
