import numpy as np
import pytest
import torch
from doubles import ColourTracker, IdentityTracker, random_estimator, screen_scene

from armory_skelevision.attacks import PatchAttack

UPDATES = ("sign", "gradient", "accumulated_sign")


def attack(estimator, scene=None, **kwargs):
    x, y, metadata = scene or screen_scene()
    return PatchAttack(estimator, verbose=False, **kwargs).generate(x=x, y=y, y_patch_metadata=metadata)


def l1(estimator, x, y):
    boxes = estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]
    return float(np.abs(boxes - y[0]["boxes"]).sum())


@pytest.mark.parametrize("update", UPDATES)
def test_attack_raises_the_loss_of_a_real_network(update):
    scene = screen_scene()
    estimator = random_estimator()
    step_size = 3e-5 if update == "gradient" else 0.1
    x_adv = attack(estimator, scene, update=update, step_size=step_size, max_iter=5)
    assert x_adv.shape == scene[0].shape and x_adv.dtype == np.float32
    assert x_adv.min() >= 0 and x_adv.max() <= 1
    assert l1(estimator, x_adv, scene[1]) > l1(estimator, scene[0], scene[1]) * 1.02


@pytest.mark.parametrize(("update", "step_size"), [("sign", 0.1), ("gradient", 3.0), ("accumulated_sign", 0.1)])
def test_attack_finds_the_known_best_patch(update, step_size):
    scene = screen_scene()
    scene[2][0]["shading"] = False
    tracker = ColourTracker()
    # The truth lies below the start, so that every box must be pushed up: red and blue to 1, green to 0.
    labels = [{"boxes": np.repeat(scene[1][0]["boxes"][:1], 5, axis=0) - 0.0}]
    x_adv = attack(tracker, (scene[0], labels, scene[2]), update=update, step_size=step_size, max_iter=20)
    best = scene[0].copy()
    visible = scene[2][0]["masks"][..., 0] > 0
    inside = np.zeros_like(visible)
    for t in range(5):
        inside[t, 33:86, 46 + t : 106 + t] = True
    best[0][visible & inside] = [1, 0, 1]
    gained = l1(tracker, x_adv, labels) - l1(tracker, scene[0], labels)
    possible = l1(tracker, best, labels) - l1(tracker, scene[0], labels)
    assert gained >= 0.95 * possible > 0


def test_foreign_estimators_and_windows_see_the_same_scene():
    scene = screen_scene()
    x_adv = attack(ColourTracker(), scene, max_iter=2)
    outside = scene[2][0]["masks"] == 0
    np.testing.assert_array_equal(x_adv[0][outside], scene[0][0][outside])


class TinyGoturn(torch.nn.Module):
    """A regressor with GOTURN's interface: box in tenths of the search region, steered by the mean colours."""

    def forward(self, previous, current):
        colour = current.mean(dim=(2, 3)) - 0.5 * previous.mean(dim=(2, 3))
        return torch.tensor([[2.5, 2.5, 7.5, 7.5]]) + torch.cat([colour, colour[:, :1]], dim=1)


def test_attack_drives_arts_goturn():
    from art.estimators.object_tracking import PyTorchGoturn

    goturn = PyTorchGoturn(TinyGoturn(), input_shape=(3, 64, 64), clip_values=(0, 1), device_type="cpu")
    scene = screen_scene()
    scene[2][0]["shading"] = False
    x_adv = attack(goturn, scene, max_iter=3)
    assert l1(goturn, x_adv, scene[1]) > l1(goturn, scene[0], scene[1])


def test_a_tracker_without_gradient_leaves_the_grey_patch():
    x_adv = attack(IdentityTracker(), max_iter=3)
    assert np.isfinite(x_adv).all()


def test_same_seed_same_patch_and_another_seed_another():
    first, again = (attack(random_estimator(), start="random", seed=3, max_iter=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (attack(random_estimator(), start="random", seed=4, max_iter=2) != first).any()


def test_updates_differ_from_the_second_step_on():
    results = {update: attack(random_estimator(), update=update, max_iter=4) for update in ("sign", "accumulated_sign")}
    assert (results["sign"] != results["accumulated_sign"]).any()
    one_step = [attack(random_estimator(), update=update, max_iter=1) for update in ("sign", "accumulated_sign")]
    np.testing.assert_array_equal(*one_step)


def test_a_screen_out_of_the_trackers_sight_is_no_error():
    x, y, metadata = screen_scene()
    metadata[0]["masks"] = np.zeros_like(metadata[0]["masks"])
    np.testing.assert_array_equal(attack(random_estimator(), (x, y, metadata), max_iter=2), x)


def test_attack_goes_through_a_full_frame_preprocessor():
    from art.defences.preprocessor import SpatialSmoothing

    scene = screen_scene()
    estimator = random_estimator(preprocessing_defences=SpatialSmoothing(window_size=3, clip_values=(0, 1)))
    x_adv = attack(estimator, scene, max_iter=2)
    assert l1(estimator, x_adv, scene[1]) > l1(estimator, scene[0], scene[1])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"update": "adam"}, "update: expected one of"),
        ({"start": "black"}, "start: expected one of"),
        ({"step_size": 0}, "step_size: expected a number above 0"),
        ({"max_iter": 0}, "max_iter: expected a whole number from 1"),
        ({"seed": 0.5}, "seed: expected a whole number"),
    ],
)
def test_settings_out_of_range_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PatchAttack(IdentityTracker(), **kwargs)


def test_inputs_that_do_not_fit_together_are_refused():
    x, y, metadata = screen_scene()
    patch_attack = PatchAttack(IdentityTracker(), max_iter=1, verbose=False)
    with pytest.raises(ValueError, match='"use_label": true'):
        patch_attack.generate(x=x, y=None, y_patch_metadata=metadata)
    with pytest.raises(ValueError, match=r"y\[0\]: expected boxes \(5, 4\), one per frame, got \(4, 4\)"):
        patch_attack.generate(x=x, y=[{"boxes": y[0]["boxes"][:4]}], y_patch_metadata=metadata)
    with pytest.raises(ValueError, match="y_patch_metadata: expected one dict"):
        patch_attack.generate(x=x, y=y)
    with pytest.raises(TypeError, match=r"unknown keywords \['mask'\]"):
        patch_attack.generate(x=x, y=y, y_patch_metadata=metadata, mask=1)


def test_estimator_keeps_nothing_from_an_attack():
    estimator = random_estimator()
    scene = screen_scene()
    before = l1(estimator, scene[0], scene[1])
    attack(estimator, scene, max_iter=1)
    assert l1(estimator, scene[0], scene[1]) == before
    assert all(parameter.grad is None for parameter in estimator.model.parameters())
    assert torch.is_grad_enabled()
