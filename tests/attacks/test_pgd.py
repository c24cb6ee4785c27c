"""FGSM and PGD on videos."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.defences.preprocessor import SpatialSmoothing
from doubles import ColourTracker, IdentityTracker, screen_scene, tiny_estimator

from armory_skelevision.attacks import FGSM, PGD, interface
from armory_skelevision.attacks.digital.per_frame import PerFrameEstimator
from armory_skelevision.boxes import iou
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

EPS = 8 / 255
SCENE = screen_scene(frames=3)
FRAME_VALUES = SCENE[0][0, 0].size
# An l2 norm about as large as that of EPS everywhere.
EPS_L2 = EPS * np.sqrt(FRAME_VALUES)


def attack(estimator, kind=PGD, scene=SCENE, **kwargs):
    x, y, metadata = scene
    if kind is PGD:
        kwargs = {"max_iter": 2, "verbose": False, **kwargs}
    return kind(estimator, **kwargs).generate(x=x, y=y, y_patch_metadata=metadata)


def l1(estimator, x, y=SCENE[1]):
    boxes = estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]
    return float(np.abs(boxes - y[0]["boxes"]).sum())


def frame_norms(x_adv, x=SCENE[0]):
    return np.linalg.norm((x_adv - x)[0].reshape(x.shape[1], -1).astype(np.float64), axis=1)


def noise_like(x_adv, seed=0):
    """Random signs of the same size, frame by frame."""
    rng = np.random.default_rng(seed)
    noise = rng.choice([-1.0, 1.0], SCENE[0].shape) * (frame_norms(x_adv) / np.sqrt(FRAME_VALUES))[:, None, None, None]
    return (SCENE[0] + noise).clip(0, 1).astype(np.float32)


L2 = {"norm": 2, "eps": EPS_L2}
VARIANTS = [
    (FGSM, {}),
    (FGSM, {"universal": True}),
    (FGSM, L2),
    (PGD, {"eps_step": EPS / 2}),
    (PGD, {"eps_step": EPS / 2, "decay": 0.9}),
    (PGD, {"eps_step": EPS / 2, "universal": True}),
    (PGD, {**L2, "eps_step": EPS_L2 / 2}),
    (PGD, {**L2, "eps_step": EPS_L2 / 2, "universal": True}),
]


@pytest.mark.parametrize(("kind", "kwargs"), VARIANTS)
def test_perturbation_is_bounded_and_raises_the_loss_more_than_noise_does(kind, kwargs):
    estimator = tiny_estimator()
    x_adv = attack(estimator, kind, **kwargs)
    assert x_adv.shape == SCENE[0].shape and x_adv.dtype == np.float32
    assert x_adv.min() >= 0 and x_adv.max() <= 1
    if kwargs.get("norm") == 2:
        assert (frame_norms(x_adv) <= EPS_L2 * (1 + 1e-6)).all()
    else:
        assert np.abs(x_adv - SCENE[0]).max() <= EPS + 1e-7
    noise = max(l1(estimator, noise_like(x_adv, seed)) for seed in range(3))
    assert l1(estimator, x_adv) > max(noise, l1(estimator, SCENE[0])) * 1.02


@pytest.mark.parametrize(("kind", "kwargs"), VARIANTS)
def test_known_optimum_is_reached(kind, kwargs):
    # The boxes go by weights . mean colour, and all truths lie at the start: the best picture is brighter in the
    # channels of a positive weight and darker in the other.
    labels = [{"boxes": np.repeat(SCENE[1][0]["boxes"][:1], 3, axis=0)}]
    x = (SCENE[0] * 0 + 0.5).astype(np.float32)
    tracker = ColourTracker()
    weights = tracker.weights.numpy()
    x_adv = attack(tracker, kind, (x, labels, None), **kwargs)
    if kwargs.get("norm") == 2:
        shift = EPS_L2 * np.linalg.norm(weights) * np.sqrt(3 / FRAME_VALUES)
    else:
        shift = EPS * np.abs(weights).sum()
    possible = 3 * 4 * shift
    gained = l1(tracker, x_adv, labels) - l1(tracker, x, labels)
    assert 0.95 * possible <= gained <= 1.001 * possible


def steps_of(estimator, x, norm, eps, eps_step, max_iter, decay, universal):
    """The attacked video, by the definition of projected gradient descent."""

    def per_sample(values):
        values = np.abs(values) if norm == "inf" else values**2
        size = values.max(axis=(1, 2, 3), keepdims=True) if norm == "inf" else values.sum((1, 2, 3), keepdims=True)
        return size if norm == "inf" else np.sqrt(size)

    added = np.zeros((1 if universal else len(x), *x.shape[1:]))
    direction = 0 * added
    for _ in range(max_iter):
        shown = (x + added).astype(np.float32)
        gradient = estimator.loss_gradient(shown.clip(0, 1)[None], SCENE[1])[0] * ((shown >= 0) & (shown <= 1))
        gradient = gradient.sum(axis=0, keepdims=True) if universal else gradient
        direction = (decay or 0) * direction + gradient / np.abs(gradient).sum(axis=(1, 2, 3), keepdims=True)
        step = np.sign(direction) if norm == "inf" else direction / per_sample(direction)
        added = added + eps_step * step
        added = added if universal else (x + added).clip(0, 1) - x
        added = added.clip(-eps, eps) if norm == "inf" else added * np.minimum(1, eps / per_sample(added))
    return (x + added).clip(0, 1)


@pytest.mark.parametrize("norm", ["inf", 2])
@pytest.mark.parametrize("decay", [None, 0.8])
@pytest.mark.parametrize("universal", [False, True])
def test_steps_are_those_of_projected_gradient_descent(norm, decay, universal):
    x = SCENE[0].copy()
    x[0, 0, :30] = 0.99
    x[0, 1, -30:] = 0.01
    eps = EPS if norm == "inf" else EPS_L2
    how = {"norm": norm, "eps": eps, "eps_step": eps * 0.4, "max_iter": 4, "decay": decay, "universal": universal}
    found = attack(tiny_estimator(), scene=(x, *SCENE[1:]), **how)[0]
    expected = steps_of(tiny_estimator(), x[0], **how)
    # Where a gradient is nearly 0 its sign may differ.
    assert (np.abs(found - expected) > 1e-5).mean() < 1e-3


@pytest.mark.parametrize("norm", ["inf", 2])
@pytest.mark.parametrize("universal", [False, True])
def test_further_starts_are_random_within_the_bound_and_repeat_with_their_seed(norm, universal):
    eps = EPS if norm == "inf" else EPS_L2
    how = {"norm": norm, "eps": eps, "eps_step": eps / 1e4, "max_iter": 1, "universal": universal}
    tracker = ColourTracker()
    first = attack(tracker, **how)
    tries = []
    keep = tracker.predict

    def predict(x, **kwargs):
        if isinstance(x, torch.Tensor):  # for a gradient
            return keep(x, **kwargs)
        tries.append(x[0].copy())
        boxes = keep(x, **kwargs)[0]["boxes"]
        return [{"boxes": boxes + 1000 * (len(tries) % 3 == 0)}]  # the third start is said to be the best

    tracker.predict = predict
    found = attack(tracker, **how, restarts=3, seed=4)
    again = attack(tracker, **how, restarts=3, seed=4)
    other = attack(tracker, **how, restarts=3, seed=5)
    np.testing.assert_array_equal(tries[0], first[0])
    np.testing.assert_array_equal(found[0], tries[2])
    np.testing.assert_array_equal(found, again)
    assert (found != other).mean() > 0.9 and (tries[1] != tries[2]).mean() > 0.9
    if norm == "inf":
        changes = np.abs(found - SCENE[0])[(found > 0) & (found < 1)]
        assert changes.max() <= EPS + 1e-6 and changes.mean() == pytest.approx(EPS / 2, rel=0.05)
    else:
        norms = frame_norms(found)
        assert (norms <= EPS_L2 * (1 + 1e-6)).all() and (norms > 0.01 * EPS_L2).all()


def test_of_several_starts_none_is_worse_than_the_first():
    estimator = tiny_estimator()
    truth = SCENE[1][0]["boxes"]

    def overlap(x):
        boxes = torch.as_tensor(estimator.predict(x, y_init=truth[:1])[0]["boxes"])
        return float(iou(boxes, torch.as_tensor(truth))[1:].mean())

    assert overlap(attack(estimator, restarts=3)) <= overlap(attack(estimator))


@pytest.mark.parametrize(("kind", "kwargs"), [(FGSM, {}), (PGD, {"decay": 0.5}), (FGSM, {"universal": True})])
def test_all_frames_are_attacked_at_once(kind, kwargs):
    scene = screen_scene(frames=40, height=40, width=180)  # more than ART's batches have
    scene[1][0]["boxes"] *= [1, 0.25, 1, 0.4]
    tracker = ColourTracker()
    x_adv = attack(tracker, kind, (scene[0], *scene[1:]), **kwargs)
    gradient = tracker.loss_gradient(scene[0], scene[1])[0]
    expected = np.sign(gradient.sum(axis=0) if kwargs.get("universal") else gradient)
    size = EPS if kind is FGSM else 2 * 2 / 255
    np.testing.assert_allclose(x_adv[0], (scene[0][0] + size * expected).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize(("kind", "steps"), [(PGD, 3), (FGSM, 1)])
@pytest.mark.parametrize("universal", [False, True])
def test_progress_is_that_of_the_attack_alone(kind, steps, universal, monkeypatch, capsys):
    shown, progress = [], interface.progress
    monkeypatch.setattr(interface, "progress", lambda *args, **_: shown.append(args) or progress(*args, disable=True))
    attack(ColourTracker(), kind, universal=universal, **({"max_iter": 3} if kind is PGD else {}))
    assert shown == [(range(steps), kind.__name__)]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [PGD, FGSM])
def test_settings_have_the_documented_defaults(kind):
    made = kind(IdentityTracker())
    assert (made.norm, made.eps, made.universal) == ("inf", 8 / 255, False)
    if kind is PGD:
        assert (made.eps_step, made.max_iter, made.decay, made.verbose) == (2 / 255, 10, None, True)


@pytest.mark.parametrize("kind", [PGD, FGSM])
@pytest.mark.parametrize("norm", ["inf", 2])
def test_nothing_leaves_the_range_by_rounding(kind, norm):
    rng = np.random.default_rng(0)
    near = rng.uniform(0, EPS, SCENE[0].shape).astype(np.float32)
    x = np.where(rng.random(near.shape) < 0.5, near, 1 - near)
    x_adv = attack(ColourTracker(), kind, (x, *SCENE[1:]), norm=norm, eps=EPS if norm == "inf" else 3 * EPS_L2)
    assert x_adv.min() >= 0 and x_adv.max() <= 1 and (x_adv != x).any()


def test_the_tracker_sees_frames_in_their_range_and_its_gradient_counts_there():
    class Seeing(ColourTracker):
        def loss_gradient(self, x, y, **kwargs):
            assert x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1
            np.testing.assert_array_equal(y[0]["boxes"], boxes)
            return np.ones_like(x)

    boxes = SCENE[1][0]["boxes"]
    base = np.full((3, 1, 4, 3), 0.5, np.float32)
    sample = np.array([-0.75, -0.5, 0.5, 0.75], np.float32)[None, None, :, None].repeat(3, axis=3)
    shared, frames, plain = (PerFrameEstimator(Seeing(), each) for each in (base, 0.0, None))
    assert shared.clip_values.tolist() == [-1, 1] and frames.clip_values.tolist() == plain.clip_values.tolist() == [
        0,
        1,
    ]
    np.testing.assert_array_equal(shared.loss_gradient(sample, boxes[None])[0, 0, :, 0], [0, 3, 3, 0])
    np.testing.assert_array_equal(frames.loss_gradient(base + sample, boxes)[:, 0, :, 0], [[0, 1, 1, 0]] * 3)
    np.testing.assert_array_equal(plain.loss_gradient(base, boxes), np.ones_like(base))


def test_frames_alone_are_not_tracked():
    frames = PerFrameEstimator(ColourTracker(), 0.0)
    for function in (frames.predict, lambda x: frames.fit(x, None)):
        with pytest.raises(NotImplementedError):
            function(SCENE[0][0])
    assert frames.input_shape == (None, None, 3)


@pytest.mark.parametrize("norm", ["inf", 2])
def test_universal_perturbation_is_the_same_on_all_frames(norm):
    eps = EPS if norm == "inf" else EPS_L2
    x_adv = attack(tiny_estimator(), norm=norm, eps=eps, eps_step=eps / 2, universal=True)
    added = (x_adv - SCENE[0])[0]
    unclipped = ((x_adv > 0) & (x_adv < 1))[0].all(axis=0)
    assert unclipped.mean() > 0.5
    spread = np.ptp(added, axis=0)
    assert spread[unclipped].max() <= 1e-6
    each = attack(tiny_estimator(), norm=norm, eps=eps, eps_step=eps / 2)
    assert np.ptp((each - SCENE[0])[0], axis=0)[unclipped].max() > EPS / 2


def test_gradient_of_a_shared_perturbation_counts_the_frames_that_show_it():
    video = np.full((3, 40, 48, 3), 0.5, np.float32)
    video[0, :10] = 1.0
    video[:, 10:20] = 0.0
    boxes = np.repeat(SCENE[1][0]["boxes"][:1], 3, axis=0) / 4 - [[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]
    frames = PerFrameEstimator(ColourTracker(), video)
    gradient = frames.loss_gradient(np.full((1, 40, 48, 3), 0.1, np.float32), boxes[None].astype(np.float32))
    expected = 4 * ColourTracker.weights.numpy() / (40 * 48)
    assert gradient.shape == (1, 40, 48, 3)
    np.testing.assert_allclose(gradient[0, :10], np.broadcast_to(2 * expected, (10, 48, 3)), rtol=1e-5)
    np.testing.assert_allclose(gradient[0, 10:], np.broadcast_to(3 * expected, (30, 48, 3)), rtol=1e-5)
    darker = frames.loss_gradient(np.full((1, 40, 48, 3), -0.1, np.float32), boxes[None].astype(np.float32))
    assert not darker[0, 10:20].any() and darker[0, :10].all()


def test_plain_forms_are_arts_own_attacks():
    estimator = tiny_estimator()
    x, y, _ = SCENE
    pgd = ProjectedGradientDescent(estimator, eps=EPS, eps_step=EPS / 2, max_iter=2, verbose=False).generate(x=x, y=y)
    np.testing.assert_array_equal(attack(estimator, eps=EPS, eps_step=EPS / 2), pgd.clip(0, 1))
    fgsm = FastGradientMethod(estimator, eps=EPS).generate(x=x, y=y)
    np.testing.assert_array_equal(attack(estimator, FGSM, eps=EPS), fgsm.clip(0, 1))


def test_attack_goes_through_a_full_frame_preprocessor():
    estimator = tiny_estimator(SpatialSmoothing(window_size=3, clip_values=(0, 1)))
    assert l1(estimator, attack(estimator)) > l1(estimator, SCENE[0]) * 1.02


def test_videos_of_two_sizes_are_attacked_one_by_one():
    videos = np.empty(2, dtype=object)
    videos[:] = [SCENE[0][0], SCENE[0][0, :2, :100]]
    labels = [SCENE[1][0], {"boxes": SCENE[1][0]["boxes"][:2]}]
    x_adv = PGD(ColourTracker(), max_iter=1, verbose=False).generate(x=videos, y=labels)
    np.testing.assert_array_equal(x_adv[0], attack(ColourTracker(), max_iter=1)[0])
    assert x_adv[1].shape == (2, 100, 160, 3)


def test_a_tracker_without_gradient_leaves_the_video():
    np.testing.assert_array_equal(attack(IdentityTracker()), SCENE[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("norm", 3), ("eps", 0), ("eps", float("nan")), ("eps_step", -1), ("max_iter", 0), ("max_iter", True)),
        *(("decay", "much"), ("universal", 1), ("verbose", None), ("restarts", 0), ("seed", 1)),
    ],
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(InvalidValueError) as refused:
        PGD(IdentityTracker(), **{key: value})
    assert refused.value.key == key


def test_infinity_is_a_norm_as_in_art():
    assert PGD(IdentityTracker(), norm=np.inf).norm == "inf"


def test_inputs_that_do_not_fit_together_are_refused():
    x, y, _ = SCENE
    pgd = PGD(IdentityTracker(), max_iter=1, verbose=False)
    for arguments, error, key, got in [
        ({"x": x}, InvalidValueError, "y", "none"),
        ({"x": x, "y": [{"boxes": y[0]["boxes"][:2]}]}, InvalidValueError, "y[0]", "shape (2, 4)"),
        ({"x": x * 255, "y": y}, InvalidValueError, "x[0]", None),
        ({"x": x, "y": [{"boxes": y[0]["boxes"] + 1000}]}, InvalidValueError, "y[0].boxes[0]", None),
        ({"x": x, "y": y, "mask": 1}, InvalidTypeError, "mask", "an unknown one"),
    ]:
        with pytest.raises(error) as refused:
            pgd.generate(**arguments)
        assert refused.value.key == key and got in (refused.value.got, None)
