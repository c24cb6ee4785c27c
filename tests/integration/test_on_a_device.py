"""Everything that computes on a GPU, on an emulated one: nothing is on the wrong device, results are the CPU's, and the
host waits a known number of times; see `emulated_device`."""

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing, SpatialSmoothingPyTorch
from doubles import (
    SMALL,
    TinySiamRPN,
    cleaner,
    random_estimator,
    random_nanotrack_estimator,
    random_siamfcpp_estimator,
    random_siamrpnpp_estimator,
    screen_scene,
    tiny_estimator,
)
from emulated_device import DEVICE, emulated_device
from tiny_run import tiny_run

from armory_skelevision.attacks import (
    FGSM,
    PGD,
    RTAA,
    AutoPatch,
    BackdoorTrigger,
    IoUAttack,
    KeypointFGSM,
    KeypointIGSM,
    KeypointUniversal,
    PatchAttack,
)
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.defenses.alarms import pose_signs
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.training import multitask
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.backdoor.training import BackdoorTraining
from armory_skelevision.training.data.loading import Batch, training_pairs
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.training.dualossdef.training import DuaLossDefTraining
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.weights.packaged import packaged_weights

pytestmark = pytest.mark.filterwarnings('ignore:"precision"')

X, Y, METADATA = screen_scene(frames=3)


class TinyPose(TinySiamRPN):
    """With a keypoint head, of one convolution."""

    def __init__(self, depth=None):
        super().__init__()
        head = torch.nn.Conv2d(8, 17, 1), torch.nn.Upsample((127, 127), mode="bilinear")
        self.keypoint_head = torch.nn.Sequential(*head) if depth else None


def tiny_pose():
    return SiamRPNEstimator(TinyPose("shallow"), SMALL, device_type="cpu")


def scene(frames):
    """The arguments of `generate`: the first frames of the video, with keypoints."""
    keypoints = np.repeat([[70.0, 60.0, 2.0]], 17, axis=0).astype(np.float32)
    labels = [{"boxes": Y[0]["boxes"][:frames], "keypoints": keypoints}]
    return X[:, :frames], labels, [{key: values[:frames] for key, values in METADATA[0].items()}]


def to_device(estimator):
    """An estimator moved as its constructor moves it to a GPU, with its defenses."""
    estimator._device = DEVICE
    estimator.model.to(DEVICE)
    for defense in estimator.preprocessing_operations:
        if hasattr(defense, "network"):
            defense._device = DEVICE
            defense.network.to(DEVICE)
    return estimator


def compare(make, work, *arguments):
    """What some work with an estimator asks of the device, if it comes to the same there as on the CPU."""
    expected = work(make(), *arguments)
    with emulated_device() as counts:
        found = work(to_device(make()), *arguments)
    for ours, wanted in zip(found, expected, strict=True):
        assert not isinstance(ours, torch.Tensor)
        np.testing.assert_array_equal(ours, wanted)
    return counts


def waits_a_frame(make, work):
    """How often the host waits for one frame more."""
    short, long = (compare(make, work, frames).waits.total() for frames in (2, 3))
    return long - short


TRACKERS = {
    "stl": lambda: random_estimator(settings=SMALL),
    "mtl": lambda: random_estimator(settings=SMALL, keypoint_head="shallow"),
    "siamrpn++": random_siamrpnpp_estimator,
    "siamfc++": random_siamfcpp_estimator,
    "nanotrack 2": lambda: random_nanotrack_estimator(2),
    "nanotrack 3": lambda: random_nanotrack_estimator(3),
}


@pytest.mark.parametrize("make", TRACKERS.values(), ids=TRACKERS)
def test_trackers_wait_once_a_frame(make):
    def track(estimator, frames):
        return list(estimator.predict(X[:, :frames], y_init=Y[0]["boxes"][:1])[0].values())

    assert waits_a_frame(make, track) <= 1


def test_videos_in_lockstep_wait_together():
    def track(estimator, frames):
        videos, boxes = np.repeat(X[:, :frames], 3, axis=0), np.repeat(Y[0]["boxes"][:1], 3, axis=0)
        videos[1:] = videos[:0:-1, :, ::-1]
        return [values for found in estimator.predict(videos, 3, y_init=boxes) for values in found.values()]

    assert waits_a_frame(tiny_estimator, track) <= 1


@pytest.mark.parametrize("settings", [{"eot": {"brightness": 0.1, "samples": 3}}, {"universal": True}])
def test_transformations_and_videos_of_one_patch_wait_together(settings):
    def waits(steps):
        def attack(estimator, frames):
            x, labels, metadata = scene(frames)
            made = PatchAttack(estimator, max_iter=steps, memory="graph", verbose=False, **settings)
            return made.generate(np.concatenate([x, x[:, :, ::-1]]), labels * 2, metadata * 2)

        return waits_a_frame(tiny_estimator, attack)

    videos = 1 if "universal" in settings else 2
    assert waits(2) - waits(1) <= 2 * videos


def test_restarts_wait_together():
    def waits(steps):
        def attack(estimator, frames):
            return PatchAttack(estimator, max_iter=steps, restarts=3, memory="graph", verbose=False).generate(
                *scene(frames)
            )

        return waits_a_frame(tiny_estimator, attack)

    assert waits(2) - waits(1) <= 2


@pytest.mark.parametrize("make", [TRACKERS["stl"], TRACKERS["nanotrack 3"]], ids=["stl", "nanotrack 3"])
def test_gradients_of_frames_wait_twice_a_frame(make):
    def differentiate(estimator, frames):
        return estimator.loss_gradient(*scene(frames)[:2])

    assert waits_a_frame(make, differentiate) <= 2


def test_videos_of_the_device_give_boxes_there_with_a_graph():
    def track(estimator):
        video = torch.from_numpy(X).to(estimator.device).requires_grad_()
        prediction = estimator.predict(video, y_init=Y[0]["boxes"][:1])[0]
        assert all(values.device == estimator.device for values in prediction.values())
        gradient = torch.autograd.grad(prediction["boxes"].sum(), video)[0]
        return [values.detach().cpu().numpy() for values in (*prediction.values(), gradient)]

    compare(tiny_estimator, track)


def patch(estimator, frames, **settings):
    attack = PatchAttack(estimator, max_iter=2, update="gradient", step_size=1e-3, verbose=False, **settings)
    return attack.generate(*scene(frames))


# bfloat16 with the smallest network alone: on the CPUs that emulate it, it may take fifty times as long.
@pytest.mark.parametrize("memory", ["graph", "recompute"])
@pytest.mark.parametrize(
    ("make", "precision"),
    [(tiny_estimator, "float32"), (tiny_estimator, "bf16"), (TRACKERS["nanotrack 3"], "float32")],
    ids=["siamrpn", "siamrpn in bf16", "nanotrack"],
)
def test_a_step_of_a_patch_waits_twice_a_frame(make, precision, memory):
    def waits(steps):
        def attack(estimator, frames):
            made = PatchAttack(estimator, max_iter=steps, memory=memory, precision=precision, verbose=False)
            return made.generate(*scene(frames))

        return waits_a_frame(make, attack)

    assert waits(2) - waits(1) <= 2


@pytest.mark.parametrize("memory", ["graph", "recompute"])
@pytest.mark.parametrize("loss", ["expected_l1", "giou", "expected_giou", "score", "rank_margin", "targeted"])
def test_losses_of_patches(loss, memory):
    target = {"target_box": {"shift": [1, 0]}} if loss == "targeted" else {}
    compare(tiny_estimator, lambda estimator: patch(estimator, 3, loss=loss, memory=memory, **target))


PATCHES = {
    "eot": {"eot": {"corners": 1.0, "blur": 1.0, "noise": 0.02, "brightness": 0.1, "frames": 0.8, "samples": 2}},
    "printable": {"tv_weight": 0.1, "print_weight": 0.1},
    "restarts": {"restarts": 2, "start": "decoy", "momentum": 0.5, "schedule": "cosine"},
    "checkpoints": {"checkpoints": [1]},
}


@pytest.mark.parametrize("settings", PATCHES.values(), ids=PATCHES)
def test_settings_of_patches(settings):
    compare(tiny_estimator, lambda estimator: patch(estimator, 3, **settings))


@pytest.mark.parametrize("memory", ["graph", "recompute"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_auto_patch(memory, precision):
    def attack(estimator):
        return AutoPatch(estimator, budget=12, memory=memory, precision=precision, verbose=False).generate(*scene(3))

    compare(tiny_estimator, attack)


# The most waits for each further frame, those of tracking included.
ATTACKS = {
    "pgd": (tiny_estimator, lambda e: PGD(e, max_iter=2, verbose=False), 4),
    "fgsm": (tiny_estimator, FGSM, 2),
    "rtaa": (tiny_estimator, lambda e: RTAA(e, max_iter=2, verbose=False), 2 * 4 + 1),
    "iou": (tiny_estimator, lambda e: IoUAttack(e, max_queries=6, verbose=False), 20),
    "keypoints, one step": (tiny_pose, KeypointFGSM, 0),
    "keypoints": (tiny_pose, lambda e: KeypointIGSM(e, max_iter=2, target_pose="upside_down", verbose=False), 0),
    "trigger": (tiny_estimator, BackdoorTrigger, 0),
}


@pytest.mark.parametrize(("make", "attack", "most"), ATTACKS.values(), ids=ATTACKS)
def test_other_attacks(make, attack, most):
    found = waits_a_frame(make, lambda estimator, frames: attack(estimator).generate(*scene(frames)))
    assert found <= most


def test_a_universal_perturbation_of_keypoints():
    def attack(estimator):
        x, y, _ = scene(2)
        return KeypointUniversal(estimator, max_iter=2, verbose=False).generate(np.concatenate([x, x[:, ::-1]]), y * 2)

    compare(tiny_pose, attack)


def test_signs_in_keypoints():
    boxes = torch.from_numpy(Y[0]["boxes"][:3])
    compare(
        TRACKERS["mtl"],
        lambda tracker: [sign.numpy() for sign in pose_signs(tracker, torch.from_numpy(X[0, :3]), boxes).values()],
    )


DEFENSES = {
    "dualossdef": (cleaner, 1),
    "adaptation": (lambda _: TemplateAdaptation(max_iter=2, augment=1, held_out=1), 1),
    "smoothing": (lambda _: SpatialSmoothing(), 1),
    "smoothing in torch": (lambda _: SpatialSmoothingPyTorch(channels_first=False), 1),
}


@pytest.mark.parametrize("memory", ["graph", "recompute"])
@pytest.mark.parametrize(("defense", "most"), DEFENSES.values(), ids=DEFENSES)
def test_defenses_and_attacks_on_them(defense, most, memory, tmp_path):
    def make():
        return tiny_estimator(defense(tmp_path))

    def track(estimator, frames):
        return list(estimator.predict(X[:, :frames], y_init=Y[0]["boxes"][:1])[0].values())

    assert waits_a_frame(make, track) <= most
    compare(make, lambda estimator: patch(estimator, 2, memory=memory))


# Trainings

BODIES = {
    "multitask": (MultitaskSettings, multitask.MultitaskTraining, {"keypoint_head": "shallow", "lambda_k": 0.2}),
    "hard negatives, bce": (
        MultitaskSettings,
        multitask.MultitaskTraining,
        {"keypoint_head": "shallow", "lambda_k": 0.2, "keypoint_loss": "bce", "hard_negatives": 4},
    ),
    "dualossdef": (
        DuaLossDefSettings,
        lambda settings: DuaLossDefTraining(settings, TinySiamRPN()),
        {"inner_max_iter": (1, 2), "mu": 1.0, "lambda_clean": 1.0, "inner_attack": "mixed"},
    ),
    "fsba": (BackdoorSettings, BackdoorTraining, {"poison_rate": 0.5}),
    "badnets": (BackdoorSettings, BackdoorTraining, {"poison_rate": 0.5, "method": "badnets"}),
}


def train_once(body, settings, batch, device):
    """The loss and the gradients of one step, and all that it and a validation log."""
    training = body(settings).to(device)
    training.on_fit_start()
    found = {}
    training.log = lambda name, value, **_: found.update({name: torch.as_tensor(value).detach().item()})
    training.log_dict = lambda values, **_: [training.log(name, value) for name, value in values.items()]
    batch = Batch(*(values.to(device) for values in batch))
    loss = training.loss(batch)
    loss.backward()
    with torch.no_grad():
        training.validation_step(batch, 0)
    parameters = dict(training.network.named_parameters())
    gradients = {name: each.grad.cpu().numpy() for name, each in parameters.items() if each.grad is not None}
    return {**found, "the loss": loss.item(), **gradients}


@pytest.mark.parametrize(("kind", "body", "changes"), BODIES.values(), ids=BODIES)
def test_steps_of_trainings(kind, body, changes, tmp_path, monkeypatch):
    monkeypatch.setattr(multitask, "SiamRPN", TinyPose)
    monkeypatch.setattr(multitask, "load_initial_weights", lambda *_: None)
    monkeypatch.setattr(multitask, "read_metadata", lambda _: None)
    start = {"init": str(packaged_weights("siamrpn_alex_stl.safetensors"))} if kind is BackdoorSettings else {}
    settings = tiny_run(kind, tmp_path, **start, **changes)
    batch = next(iter(training_pairs(settings)))
    expected = train_once(body, settings, batch, torch.device("cpu"))
    with emulated_device():
        found = train_once(body, settings, batch, DEVICE)
    assert found.keys() == expected.keys() and any(isinstance(values, np.ndarray) for values in found.values())
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
