"""What a program around a tracker or an attack has switched on or off in PyTorch changes no number."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from doubles import SMALL, TinySiamRPN, random_estimator, screen_scene, tiny_estimator

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import FGSM, PGD, RTAA, BackdoorTrigger, IoUAttack, KeypointIGSM, PatchAttack
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

X, Y, METADATA = screen_scene(frames=3)
FIRST = Y[0]["boxes"][:1]
QUIET = {"verbose": False}
EOT = {"brightness": 0.1, "blur": 1.0, "noise": 0.1, "corners": 1.0}
TARGET = {"shift": [0.3, 0]}
ATTACKS = {
    "patch": lambda tracker: PatchAttack(tracker, max_iter=2, **QUIET),
    "patch, recomputed": lambda tracker: PatchAttack(tracker, max_iter=2, memory="recompute", **QUIET),
    "patch, random": lambda tracker: PatchAttack(tracker, max_iter=2, eot=EOT, start="random", tv_weight=0.1, **QUIET),
    "patch, targeted": lambda tracker: PatchAttack(tracker, max_iter=2, loss="targeted", target_box=TARGET, **QUIET),
    "PGD": lambda tracker: PGD(tracker, max_iter=2, **QUIET),
    "PGD, universal": lambda tracker: PGD(tracker, max_iter=2, universal=True, **QUIET),
    "FGSM": FGSM,
    "RTAA": lambda tracker: RTAA(tracker, max_iter=2, **QUIET),
    "IoU": lambda tracker: IoUAttack(tracker, max_queries=8, skip_threshold=1.0, **QUIET),
    "trigger": BackdoorTrigger,
}


@contextlib.contextmanager
def double_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


MODES = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode, "double by default": double_by_default}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())


@modes
@pytest.mark.parametrize("make", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_the_same_in_any_mode(make, mode):
    tracker = tiny_estimator()
    expected = make(tracker).generate(X, Y, METADATA)
    assert (expected != X).any()
    with mode():
        np.testing.assert_array_equal(make(tracker).generate(X, Y, METADATA), expected)


@modes
def test_predictions_losses_and_gradients_are_the_same_in_any_mode(mode):
    tracker, posed = tiny_estimator(TemplateAdaptation(max_iter=2)), random_estimator(keypoint_head="shallow")
    keypoints = np.concatenate([np.random.default_rng(0).uniform(45, 80, (17, 2)), np.full((17, 1), 2)], axis=1)
    labels = [{**Y[0], "keypoints": keypoints}]

    def compute():
        hidden = KeypointIGSM(posed, max_iter=1, **QUIET).generate(X, labels)
        found = {**posed.predict(X, y_init=FIRST)[0], **{f"adapted {k}": v for k, v in _predict(tracker).items()}}
        return {**found, "loss": tracker.compute_loss(X, Y), "grad": tracker.loss_gradient(X, Y), "hidden": hidden}

    expected = compute()
    with mode():
        found = compute()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
        assert found[name].dtype == values.dtype


def test_a_tracker_loaded_in_inference_mode_can_be_attacked():
    with torch.inference_mode():
        tracker = load_tracker("siamrpn_stl", device="cpu")
        network = TinySiamRPN()
    assert (FGSM(tracker).generate(X, Y) != X).any()
    with pytest.raises(InvalidValueError) as caught:
        SiamRPNEstimator(network, SMALL, device_type="cpu")
    assert caught.value.key == "model"


def test_a_network_that_was_set_to_training_answers_as_before_and_learns_nothing():
    network = TinySiamRPN()
    network.backbone = torch.nn.Sequential(network.backbone[0], torch.nn.ReLU(), torch.nn.BatchNorm2d(8))
    tracker = SiamRPNEstimator(network, SMALL, device_type="cpu")
    expected, attacked = _predict(tracker)["boxes"], ATTACKS["patch"](tracker).generate(X, Y, METADATA)
    network.train()
    np.testing.assert_array_equal(_predict(tracker)["boxes"], expected)
    network.train()
    np.testing.assert_array_equal(ATTACKS["patch"](tracker).generate(X, Y, METADATA), attacked)
    assert network.backbone[2].num_batches_tracked == 0


@pytest.mark.parametrize("make", ATTACKS.values(), ids=ATTACKS.keys())
def test_bfloat16_is_attacked_as_the_same_values_in_float32(make):
    tensor = torch.from_numpy(X).bfloat16()
    expected = make(tiny_estimator()).generate(tensor.float().numpy(), Y, METADATA)
    np.testing.assert_array_equal(make(tiny_estimator()).generate(tensor, Y, METADATA), expected)


@pytest.mark.parametrize("change", [torch.Tensor.to_sparse, lambda x: x.to("meta"), lambda x: x.to(torch.float8_e5m2)])
def test_tensors_without_readable_values_are_named(change):
    with pytest.raises(InvalidTypeError) as caught:
        tiny_estimator().predict(change(torch.from_numpy(X)), y_init=FIRST)
    assert caught.value.key == "x[0]"


def test_other_threads_do_not_see_the_defense_of_an_evaluation():
    tracker, video = tiny_estimator(), load_video(X[0], Y[0]["boxes"])
    defense = TemplateAdaptation(max_iter=20, eps=0.5, eps_step=0.1)
    expected, defended = (evaluate(tracker, video, defense=each).benign.boxes_xyxy for each in (None, defense))
    assert np.abs(expected - defended).max() > 1
    with_defense = threading.Thread(target=lambda: [evaluate(tracker, video, defense=defense) for _ in range(5)])
    with_defense.start()
    found = [evaluate(tracker, video).benign.boxes_xyxy for _ in range(20)]
    with_defense.join()
    np.testing.assert_array_equal(found, [expected] * 20)
    assert not tracker.preprocessing_defences


def _predict(tracker):
    return tracker.predict(X, y_init=FIRST)[0]
