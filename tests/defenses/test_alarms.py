"""Alarms: what a tracked video shows of an attack."""

import pytest
import torch
from doubles import random_estimator, screen_scene

from armory_skelevision.defenses.alarms import alarm_threshold, box_signs, pose_signs, strength
from armory_skelevision.validation import InvalidValueError

STILL = torch.tensor([[10.0, 20, 30, 60]]).repeat(6, 1)
SURE = torch.full((6,), 0.8)


def test_a_steady_track_has_no_signs():
    walking = STILL + torch.arange(6.0)[:, None] * torch.tensor([3.0, 1, 3, 1])
    for sign in box_signs(walking, SURE).values():
        torch.testing.assert_close(sign, torch.zeros(6))


def test_signs_say_when_and_how_far_a_track_departs():
    scores = torch.tensor([0.8, 0.8, 0.6, 0.2, 0.8, 0.8])
    assert box_signs(STILL, scores)["score"].tolist() == pytest.approx([0, 0, 0.25, 0.75, -1 / 7, 0], abs=1e-6)
    jumping = STILL.clone()
    jumping[3:] += torch.tensor([40.0, 0, 40, 0])
    side = (20 * 40) ** 0.5
    assert box_signs(jumping, SURE)["motion"].tolist() == pytest.approx([0, 0, 0, 40 / side, 40 / side, 0])
    shrinking = STILL.clone()
    shrinking[2:, 2:] = torch.tensor([20.0, 40])  # half of the width and of the height
    signs = box_signs(shrinking, SURE)
    half = torch.tensor(2.0).log().item()
    assert signs["size"].tolist() == pytest.approx([0, 0, half, 0, 0, 0])
    assert signs["drift"].tolist() == pytest.approx([0, 0, half, half, half, half])


def test_videos_of_two_frames_and_boxes_without_area_have_signs():
    signs = box_signs(torch.tensor([[10.0, 20, 30, 60], [10, 20, 10, 20]]), torch.tensor([0.9, 0.0]))
    assert all(len(sign) == 2 and torch.isfinite(sign).all() for sign in signs.values())
    assert float(strength(signs["drift"])) == 0  # one frame of two does not last


def test_an_attacker_can_follow_the_signs():
    boxes, scores = STILL.clone().requires_grad_(), SURE.clone().requires_grad_()
    moved = boxes + torch.tensor([0.0, 1, 4, 9, 16, 25])[:, None] * torch.tensor([1.0, 1, 2, 2])
    signs = box_signs(moved, scores * torch.linspace(1, 0.5, 6))
    gradients = torch.autograd.grad(sum(sign.sum() for sign in signs.values()), [boxes, scores])
    assert all(gradient.any() and torch.isfinite(gradient).all() for gradient in gradients)


def test_what_a_single_frame_shows_is_no_alarm():
    assert float(strength(torch.tensor([0.0, 0, 9, 0, 0]))) == 0
    assert float(strength(torch.tensor([0.0, 1, 9, 2, 0]))) == 2
    assert float(strength(torch.tensor([3.0, 5]))) == 3


def test_thresholds_keep_the_rate_of_false_alarms():
    benign = [0.1 * number for number in range(20)]
    for rate, false in ((0.0, 0), (0.05, 1), (0.14, 2), (0.5, 10)):
        threshold = alarm_threshold(benign, rate)
        assert sum(value > threshold for value in benign) == false
    assert alarm_threshold([1.0], 1.0) == 1.0
    with pytest.raises(InvalidValueError):
        alarm_threshold([], 0.05)


def test_keypoints_are_looked_for_in_each_tracked_box():
    x, labels, _ = screen_scene(frames=3)
    tracker, video = random_estimator(keypoint_head="shallow"), torch.from_numpy(x[0])
    boxes = torch.from_numpy(labels[0]["boxes"])
    signs = pose_signs(tracker, video, boxes)
    found = [tracker.predict(x[:, [index]], y_init=boxes[[index]])[0]["keypoints"] for index in range(3)]
    sure = [keypoints[:, 2].mean() for keypoints in found]
    assert signs["confidence"].tolist() == pytest.approx([1 - each / sure[0] for each in sure], abs=1e-5)

    def outside(keypoints, box):
        inside = ((keypoints[:, :2] >= box[:2]) & (keypoints[:, :2] <= box[2:])).all(axis=1)
        return keypoints[~inside, 2].sum() / keypoints[:, 2].sum()

    shares = [outside(keypoints, box) for keypoints, box in zip(found, labels[0]["boxes"], strict=True)]
    assert signs["outside"].tolist() == pytest.approx([share - shares[0] for share in shares], abs=1e-5)
    with pytest.raises(InvalidValueError, match="keypoint head"):
        pose_signs(random_estimator(), video, boxes)
