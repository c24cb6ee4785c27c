import json

import numpy as np
import pytest
import torch
from doubles import SMALL, ColourTracker, IdentityTracker, random_estimator, screen_scene, tiny_estimator

from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.gradients import CropGradient
from armory_skelevision.attacks.optimizer import GradientAscent
from armory_skelevision.attacks.patch import read_scene
from armory_skelevision.attacks.patch.regularizers import distance_to_print, total_variation
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

UPDATES = ("sign", "gradient", "accumulated_sign")


def attack(estimator, scene=None, **kwargs):
    x, y, metadata = scene or screen_scene()
    return PatchAttack(estimator, verbose=False, **kwargs).generate(x=x, y=y, y_patch_metadata=metadata)


def l1(estimator, x, y):
    boxes = estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]
    return float(np.abs(boxes - y[0]["boxes"]).sum())


@pytest.mark.parametrize("update", UPDATES)
def test_attack_raises_the_loss_of_a_real_network(update):
    scene = screen_scene(frames=3)
    estimator = random_estimator(settings=SMALL)
    step_size = 3e-5 if update == "gradient" else 0.1
    x_adv = attack(estimator, scene, update=update, step_size=step_size, max_iter=4)
    assert x_adv.shape == scene[0].shape and x_adv.dtype == np.float32
    assert x_adv.min() >= 0 and x_adv.max() <= 1
    assert l1(estimator, x_adv, scene[1]) > l1(estimator, scene[0], scene[1]) * 1.01


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


def test_third_party_estimators_and_windows_see_the_same_scene():
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
    first, again = (attack(tiny_estimator(), start="random", seed=3, max_iter=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (attack(tiny_estimator(), start="random", seed=4, max_iter=2) != first).any()


def test_updates_differ_from_the_second_step_on():
    results = {update: attack(tiny_estimator(), update=update, max_iter=4) for update in ("sign", "accumulated_sign")}
    assert (results["sign"] != results["accumulated_sign"]).any()
    one_step = [attack(tiny_estimator(), update=update, max_iter=1) for update in ("sign", "accumulated_sign")]
    np.testing.assert_array_equal(*one_step)


def test_a_screen_out_of_the_trackers_sight_is_no_error():
    x, y, metadata = screen_scene()
    metadata[0]["masks"] = np.zeros_like(metadata[0]["masks"])
    np.testing.assert_array_equal(attack(tiny_estimator(), (x, y, metadata), max_iter=2), x)


def test_attack_goes_through_a_full_frame_preprocessor():
    from art.defences.preprocessor import SpatialSmoothing

    scene = screen_scene()
    estimator = tiny_estimator(SpatialSmoothing(window_size=3, clip_values=(0, 1)))
    x_adv = attack(estimator, scene, max_iter=2)
    assert l1(estimator, x_adv, scene[1]) > l1(estimator, scene[0], scene[1])


@pytest.mark.parametrize(
    ("kwargs", "key", "expected", "got"),
    [
        ({"update": "adam"}, "update", "'sign' or 'gradient' or 'accumulated_sign'", "'adam'"),
        ({"start": "black"}, "start", "'grey' or 'random' or 'decoy'", "'black'"),
        ({"step_size": 0}, "step_size", "a number in (0, 1000000]", "0"),
        ({"max_iter": -1}, "max_iter", "a whole number in [0, 100000]", "-1"),
        ({"seed": 0.5}, "seed", "a whole number in [0, 9223372036854775807]", "0.5"),
        ({"restarts": 0}, "restarts", "a whole number in [1, 1000]", "0"),
        ({"momentum": 1}, "momentum", "a number in [0, 1)", "1"),
        ({"momentum": 0.9, "update": "accumulated_sign"}, "momentum", "0 with update 'accumulated_sign'", "0.9"),
        ({"tv_weight": -1}, "tv_weight", "a number in [0, 1000000]", "-1"),
        ({"keep": "first"}, "keep", "'best' or 'last'", "'first'"),
        ({"memory": "none"}, "memory", "'auto' or 'graph' or 'recompute'", "'none'"),
        ({"verbose": 1}, "verbose", "true or false", "1"),
        ({"eot": {"spin": 1}}, "eot.spin", "a known key", "an unknown one"),
        ({"loss": "targeted"}, "target_box", "one for loss 'targeted'", "none"),
        ({"loss": "score"}, "loss", "'l1', 'giou' or 'targeted'", "'score'"),
        ({"adaptive": False}, "adaptive", "true for a third-party tracker", "false"),
    ],
)
def test_settings_out_of_range_are_refused(kwargs, key, expected, got):
    with pytest.raises(InvalidValueError) as caught:
        PatchAttack(IdentityTracker(), **kwargs)
    assert (caught.value.key, caught.value.expected, caught.value.got) == (key, expected, got)


@pytest.mark.parametrize("kwargs", [{"schedule": "cosine"}, {"momentum": 0.9}, {"loss": "giou"}, {"restarts": 2}])
def test_every_optimizer_setting_finds_the_known_best_patch(kwargs):
    scene = screen_scene()
    scene[2][0]["shading"] = False
    tracker = ColourTracker()
    labels = [{"boxes": np.repeat(scene[1][0]["boxes"][:1], 5, axis=0)}]
    scene = (scene[0], labels, scene[2])
    found = l1(tracker, attack(tracker, scene, max_iter=20, **kwargs), labels)
    best = l1(tracker, attack(tracker, scene, max_iter=1, step_size=1.0), labels)  # grey to 0 or 1 in one step
    assert found >= 0.95 * best > l1(tracker, scene[0], labels)


def test_a_targeted_patch_pulls_the_box_to_its_target():
    scene = screen_scene()
    scene[2][0]["shading"] = False
    tracker = ColourTracker()
    clean = tracker.predict(scene[0], y_init=scene[1][0]["boxes"][:1])[0]["boxes"]
    labels = [{"boxes": np.repeat(scene[1][0]["boxes"][:1], 5, axis=0)}]
    target = (clean[0] - 2.0).tolist()
    how = {"loss": "targeted", "target_box": {"box_xyxy": target}, "max_iter": 30, "step_size": 0.02}
    x_adv = attack(tracker, (scene[0], labels, scene[2]), **how)
    reached = tracker.predict(x_adv, y_init=scene[1][0]["boxes"][:1])[0]["boxes"]
    assert np.abs(reached - target).mean() < 0.25 * np.abs(clean - target).mean()


def test_one_universal_patch_serves_all_videos(tmp_path):
    scenes = [screen_scene(frames=frames, seed=frames) for frames in (3, 4)]
    x, y, metadata = ([scene[part][0] for scene in scenes] for part in range(3))
    estimator = tiny_estimator()
    patched = PatchAttack(estimator, max_iter=2, universal=True, export=tmp_path / "patches", verbose=False).generate(
        x=x, y=y, y_patch_metadata=metadata
    )
    assert [len(video) for video in patched] == [3, 4]
    assert [path.name for path in sorted((tmp_path / "patches").glob("*.npy"))] == ["patch_000.npy"]
    # put onto a video it was not made on, without a step more
    other = screen_scene(seed=9)
    again = attack(estimator, other, patch_init=tmp_path / "patches" / "patch_000.npy", max_iter=0)
    grey = attack(estimator, other, max_iter=0)
    assert (again != grey).any()


def test_exported_patches_start_another_attack_video_by_video(tmp_path):
    scenes = [screen_scene(seed=seed) for seed in (1, 2)]
    first = PatchAttack(tiny_estimator(), max_iter=2, export=tmp_path, verbose=False)
    made = [first.generate(x=x, y=y, y_patch_metadata=metadata) for x, y, metadata in scenes]
    second = PatchAttack(tiny_estimator(seed=7), max_iter=0, patch_init=tmp_path, verbose=False)
    for (x, y, metadata), wanted in zip(scenes, made, strict=True):
        np.testing.assert_array_equal(second.generate(x=x, y=y, y_patch_metadata=metadata), wanted)
    settings = json.loads((tmp_path / "patch_001.json").read_text())
    assert settings["max_iter"] == 2 and settings["adaptive"] is True and settings["value"] > 0


@pytest.mark.parametrize("suffix", [".npy", ".png", ".json"])
def test_patches_of_an_earlier_attack_are_not_replaced(tmp_path, suffix):
    estimator, (x, y, metadata) = tiny_estimator(), screen_scene()
    first, second = (PatchAttack(estimator, max_iter=1, export=tmp_path, verbose=False) for _ in range(2))
    first.generate(x=x, y=y, y_patch_metadata=metadata)
    for path in tmp_path.iterdir():
        if path.suffix != suffix:
            path.unlink()  # one of the three files is enough
    (left,) = tmp_path.iterdir()
    kept = left.read_bytes()
    second.run = None  # it is refused before any work
    with pytest.raises(InvalidValueError) as caught:
        second.generate(x=x, y=y, y_patch_metadata=metadata)
    assert caught.value.key == "export" and left.name in caught.value.got
    assert left.read_bytes() == kept
    first.generate(x=x, y=y, y_patch_metadata=metadata)  # goes on with its own
    assert len(list(tmp_path.glob("patch_001.*"))) == 3


@pytest.mark.parametrize("kwargs", [{}, {"eot": {"noise": 0.1, "samples": 2}}, {"checkpoints": (1,)}])
def test_restarts_are_evaluated_together_and_give_what_each_gives_alone(kwargs, monkeypatch):
    counts, evaluate_all = [], CropGradient.evaluate_all

    def watched(self, videos, with_grad):
        counts.append((len(videos), with_grad))
        return evaluate_all(self, videos, with_grad)

    monkeypatch.setattr(CropGradient, "evaluate_all", watched)
    (video,), (labels,), (metadata,) = screen_scene()
    scene = read_scene(video, labels["boxes"], metadata, torch.device("cpu"), 0)
    made = PatchAttack(tiny_estimator(), max_iter=2, restarts=3, verbose=False, **kwargs)
    found = made.run([scene])
    samples = kwargs.get("eot", {}).get("samples", 1)
    assert counts == [(3 * samples, True), (3 * samples, True), (3 * samples, False)]
    ascent = GradientAscent(made.step_size, 2)
    alone = [ascent.run(made.make_objective([scene], n), made.make_start([scene], n)) for n in range(3)]
    assert found[2].value == max(each.value for each in alone)


def test_more_restarts_are_never_worse():
    scene, estimator = screen_scene(), tiny_estimator()
    once, thrice = (l1(estimator, attack(estimator, scene, max_iter=2, restarts=n), scene[1]) for n in (1, 3))
    assert thrice >= once - 1e-3


def test_best_iterate_is_never_worse_than_the_last():
    scene, estimator = screen_scene(), tiny_estimator()
    best, last = (attack(estimator, scene, max_iter=4, step_size=1.0, keep=keep) for keep in ("best", "last"))
    assert l1(estimator, best, scene[1]) >= l1(estimator, last, scene[1]) - 1e-3


def test_both_memory_modes_make_the_same_patch():
    scene = screen_scene(frames=3)
    ways = ("graph", "recompute")
    graph, recompute = (attack(random_estimator(settings=SMALL), scene, max_iter=1, memory=memory) for memory in ways)
    # Where a gradient is next to nothing its sign may differ.
    assert (np.abs(graph - recompute) > 1e-6).mean() < 1e-3


def test_eot_follows_the_seed_and_changes_the_patch():
    eot = {"brightness": 0.2, "blur": 1.0, "noise": 0.05, "corners": 1.0, "frames": 0.6, "samples": 2}
    first, again, plain = (attack(tiny_estimator(), max_iter=2, eot=values) for values in (eot, eot, None))
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any()


def test_penalties_make_patches_smooth_and_printable(tmp_path):
    def patch(name, **kwargs):
        # Left alone this attack goes to magenta light, which no ink shows, and leaves the random start's grain.
        how = {"max_iter": 12, "step_size": 0.03, "start": "random", "keep": "last", **kwargs}
        attack(ColourTracker(), export=tmp_path / name, **how)
        return torch.from_numpy(np.load(tmp_path / name / "patch_000.npy"))

    plain, smooth, printable = patch("plain"), patch("smooth", tv_weight=1e4), patch("printable", print_weight=1e4)
    assert total_variation(smooth) < 0.5 * total_variation(plain)
    assert distance_to_print(printable) < 0.5 * distance_to_print(plain)


def test_a_patch_made_against_the_bare_tracker_ignores_its_preprocessors():
    from art.defences.preprocessor import SpatialSmoothing

    scene = screen_scene()
    smoothed = tiny_estimator(SpatialSmoothing(window_size=3, clip_values=(0, 1)))
    bare = attack(tiny_estimator(), scene, max_iter=2)
    np.testing.assert_array_equal(attack(smoothed, scene, max_iter=2, adaptive=False), bare)
    assert (attack(smoothed, scene, max_iter=2, adaptive=True) != bare).any()


def test_inputs_that_do_not_fit_together_are_refused():
    x, y, metadata = screen_scene()
    patch_attack = PatchAttack(IdentityTracker(), max_iter=1, verbose=False)
    four = [{"boxes": y[0]["boxes"][:4]}]
    for arguments, error, key, got in [
        ({"y": None, "y_patch_metadata": metadata}, InvalidValueError, "y", "none"),
        ({"y": four, "y_patch_metadata": metadata}, InvalidValueError, "y[0]", "shape (4, 4)"),
        ({"y": y}, InvalidValueError, "y_patch_metadata", "none"),
        ({"y": y, "y_patch_metadata": metadata, "mask": 1}, InvalidTypeError, "mask", "an unknown one"),
    ]:
        with pytest.raises(error) as caught:
            patch_attack.generate(x=x, **arguments)
        assert (caught.value.key, caught.value.got) == (key, got)


def test_estimator_keeps_nothing_from_an_attack():
    estimator = random_estimator(settings=SMALL)
    scene = screen_scene(frames=3)
    before = l1(estimator, scene[0], scene[1])
    attack(estimator, scene, max_iter=1)
    assert l1(estimator, scene[0], scene[1]) == before
    assert all(parameter.grad is None for parameter in estimator.model.parameters())
    assert torch.is_grad_enabled()
