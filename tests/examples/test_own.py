"""The examples of a tracker, an attack and a defense of one's own: each works with what the package has."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import ColourTracker, screen_scene, tiny_estimator

from armory_skelevision.attacks import PGD, PatchAttack
from armory_skelevision.boxes import iou
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.results.result_file import read_run
from examples.own.attack import PlainColours
from examples.own.defense import SoftLook
from examples.own.tracker import CorrelationTracker, correlation_tracker

CONFIG = Path("examples/own/config.json")


@pytest.fixture(scope="module")
def walk():
    """Five frames of a packaged video, and the true boxes."""
    video = read_split(SPLITS / "mini")[2]
    return video.read_frames()[None, :5].astype(np.float32) / 255, video.boxes_xyxy[:5]


def overlap(tracker, frames, truth_xyxy):
    boxes = tracker.predict(frames, y_init=truth_xyxy[:1])[0]["boxes"]
    return float(iou(torch.as_tensor(boxes), torch.as_tensor(truth_xyxy))[1:].mean())


def test_the_tracker_tracks_a_person(walk):
    frames, truth_xyxy = walk
    found, indifferent = (overlap(CorrelationTracker(sharpness), frames, truth_xyxy) for sharpness in (30, 0))
    assert found > max(0.7, indifferent)


def test_the_tracker_answers_as_it_is_asked(walk):
    frames, truth_xyxy = walk
    tracker = correlation_tracker({"sharpness": 20}, {}, None)
    (array,) = tracker.predict(frames, y_init=truth_xyxy[:1])
    (tensor,) = tracker.predict(torch.tensor(frames, requires_grad=True), y_init=truth_xyxy[:1])
    assert array["boxes"].shape == (5, 4)
    np.testing.assert_array_equal(tensor["boxes"].detach().numpy(), array["boxes"])
    assert tensor["boxes"].grad_fn is not None
    with pytest.raises(ValueError, match="nonsense"):
        correlation_tracker({"nonsense": 1}, {})
    with pytest.raises(ValueError, match="divide by 255"):
        tracker.predict(frames * 255, y_init=truth_xyxy[:1])


def test_the_trackers_gradient_is_that_of_its_loss():
    x, y, _ = screen_scene(2)  # of later frames the window moves, too, which the gradient leaves out
    tracker = CorrelationTracker()
    gradient = tracker.loss_gradient(x, y)
    step = 0.003 * gradient / np.abs(gradient).max()

    def loss(frames):
        boxes = tracker.predict(frames.clip(0, 1).astype(np.float32), y_init=y[0]["boxes"][:1])[0]["boxes"]
        return np.abs(boxes - y[0]["boxes"]).sum()

    slope = (loss(x + step) - loss(x - step)) / 2
    assert slope == pytest.approx((gradient * step).sum(), rel=0.3)


@pytest.mark.parametrize("make", [lambda t: PatchAttack(t, max_iter=5, verbose=False), lambda t: PGD(t, max_iter=3)])
def test_attacks_of_the_package_lead_the_tracker_astray(make):
    x, y, metadata = screen_scene()
    tracker = CorrelationTracker()
    attacked = make(tracker).generate(x=x, y=y, y_patch_metadata=metadata)
    assert overlap(tracker, attacked, y[0]["boxes"]) < overlap(tracker, x, y[0]["boxes"])


def test_a_defense_acts_on_the_tracker(walk):
    frames, truth_xyxy = walk
    plain, defended = CorrelationTracker(), CorrelationTracker()
    defended.set_params(preprocessing_defences=[SoftLook(3.0)])
    assert overlap(plain, frames, truth_xyxy) != overlap(defended, frames, truth_xyxy)


def test_the_attack_shows_the_colour_that_costs_most():
    x, y, metadata = screen_scene()
    tracker = ColourTracker()
    found = [
        overlap(tracker, PlainColours(tracker, tries).generate(x=x, y=y, y_patch_metadata=metadata), y[0]["boxes"])
        for tries in (1, 20)
    ]
    assert found[1] < found[0] < overlap(tracker, x, y[0]["boxes"])


def test_the_attack_changes_the_screen_alone_and_refuses_nonsense():
    x, y, metadata = screen_scene()
    attack = PlainColours(tiny_estimator(), tries=2)
    shown = attack.generate(x=x, y=y, y_patch_metadata=metadata)
    outside = metadata[0]["masks"] == 0
    np.testing.assert_array_equal(shown[0][outside], x[0][outside])
    assert np.abs(shown - x).max() > 0.1
    with pytest.raises(ValueError, match="use_label"):
        attack.generate(x=x, y=None, y_patch_metadata=metadata)
    with pytest.raises(ValueError, match="tries"):
        PlainColours(tiny_estimator(), tries=0)


def test_the_defense_blurs_crops_and_lets_gradients_through():
    x, y, metadata = screen_scene()
    y_init = y[0]["boxes"][:1]
    plain, soft = tiny_estimator(), tiny_estimator(SoftLook(2.0))
    boxes = [tracker.predict(x, y_init=y_init)[0]["boxes"] for tracker in (plain, soft)]
    assert np.abs(boxes[0] - boxes[1]).max() > 1e-3
    assert np.abs(soft.loss_gradient(x, y)).max() > 0
    assert PatchAttack(soft, max_iter=1, verbose=False).generate(x=x, y=y, y_patch_metadata=metadata).shape == x.shape


def test_the_defense_blurs_whole_frames_of_others_trackers():
    x = torch.zeros(1, 2, 16, 16, 3)
    x[0, :, 8, 8, 0] = 1
    shown, labels = SoftLook(1.0).forward(x, "labels")
    assert labels == "labels"
    assert shown.shape == x.shape
    torch.testing.assert_close(shown.sum(dim=(2, 3)), x.sum(dim=(2, 3)))
    assert shown.max() < 0.2
    assert shown[..., 1:].abs().max() == 0


def test_the_config_is_the_packages_but_for_what_is_ones_own():
    ours, theirs = build_config("walkers", "mtl"), json.loads(CONFIG.read_text())
    assert format_config(theirs) == CONFIG.read_text()
    assert {key for key in ours | theirs if ours.get(key) != theirs.get(key)} == {
        *("_description", "attack", "defense", "model")
    }


@pytest.mark.slow
def test_all_three_are_evaluated_by_armory(tmp_path):
    config = copy.deepcopy(json.loads(CONFIG.read_text()))
    config["dataset"].update(max_frames=5, index=[2])
    path = tmp_path / "own.json"
    path.write_text(format_config(config))
    run = read_run(run_config(path, "--num-eval-batches=1"))
    assert run.benign.mean_iou > 0.6
    assert run.adversarial.mean_iou <= run.benign.mean_iou
