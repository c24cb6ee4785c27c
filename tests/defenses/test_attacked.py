"""Every defense under attack: whoever looks through it is at least as strong as whoever does not."""

from importlib import import_module

import numpy as np
import pytest
import torch
from doubles import cleaner, overlaps, screen_scene, tiny_estimator

from armory_skelevision.attacks import RTAA, AutoPatch, PatchAttack
from armory_skelevision.attacks.gradients import CropGradient
from armory_skelevision.attacks.objectives import make_objective
from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.defenses import DuaLossDef, TemplateAdaptation
from armory_skelevision.evaluation.armory_hooks import provide_ffmpeg
from armory_skelevision.evaluation.table import DEFENSES
from armory_skelevision.models import RegionDefense

SCENE = screen_scene(frames=2)

# Each as a function of a folder for its files: those of the configs, and ours in further ways.
CHAINS = {name: lambda folder, name=name: [from_config(name, folder)] for name in DEFENSES} | {
    "around": lambda folder: [TemplateAdaptation(max_iter=2, augment=1, differentiable=False)],
    "dualossdef": lambda folder: [cleaner(folder)],
    "both": lambda folder: [cleaner(folder), TemplateAdaptation(max_iter=2, augment=1)],
}


def from_config(name, folder):
    """A defense made from its table, as ARMORY makes it."""
    chosen = DEFENSES[name]
    if name == "video":
        provide_ffmpeg(folder)
    kwargs = {key: tuple(value) if key == "clip_values" else value for key, value in chosen.kwargs.items()}
    return getattr(import_module(chosen.module), chosen.name)(**kwargs)


def mean_iou(estimator, x):
    boxes = estimator.predict(x, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"]
    return overlaps(np.asarray(boxes, np.float64), SCENE[1][0]["boxes"].astype(np.float64))[1:].mean()


def l1(estimator, x):
    boxes = estimator.predict(x, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"]
    return float(np.abs(boxes - SCENE[1][0]["boxes"]).sum())


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS.keys())
def test_the_strongest_patch_goes_through_every_defense(make, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    estimator = tiny_estimator(*make(tmp_path))
    x, y, metadata = SCENE
    x_adv = AutoPatch(estimator, budget=4, verbose=False).generate(x=x, y=y, y_patch_metadata=metadata)
    start = PatchAttack(estimator, max_iter=0, start="decoy", verbose=False).generate(x, y, metadata)
    assert (x_adv != start).any()
    assert mean_iou(estimator, x_adv) < mean_iou(estimator, start)


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS.keys())
def test_adaptive_patches_are_at_least_as_strong(make, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # put back afterwards, whatever a defense adds to it
    defenses = make(tmp_path)
    estimator = tiny_estimator(*defenses)
    # The gradient through a median needs some steps; the U-Net is slow, and its gradient soon shows the way.
    steps = 4 if any(isinstance(defense, DuaLossDef) for defense in defenses) else 10
    x, y, metadata = SCENE
    adaptive, other = (
        PatchAttack(estimator, max_iter=steps, adaptive=flag, verbose=False).generate(
            x=x, y=y, y_patch_metadata=metadata
        )
        for flag in (True, False)
    )
    assert (adaptive != other).any()
    assert l1(estimator, adaptive) > l1(estimator, x)
    # Both climb nearly as high; whose last steps are luckier is left to chance.
    gain = l1(estimator, other) - l1(estimator, x)
    assert l1(estimator, adaptive) - l1(estimator, x) >= 0.98 * gain


@pytest.mark.parametrize("name", ["templateadaptation", "around", "dualossdef", "both"])
def test_both_memory_modes_give_the_same_gradient(name, tmp_path):
    x, y, metadata = SCENE
    scene = read_scene(x[0], y[0]["boxes"], {**metadata[0], "masks": np.ones_like(x[0])}, torch.device("cpu"), 0)
    patch = torch.rand(*scene.patch_hw, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    estimator, defenses = tiny_estimator(), CHAINS[name](tmp_path)
    graph, recompute = (
        CropGradient(estimator.model, estimator.settings, memory, defenses=defenses).value_and_grad(
            scene.frames(patch), scene.truth_xyxy[0], make_objective("l1", scene.truth_xyxy, None, None), patch
        )
        for memory in ("graph", "recompute")
    )
    assert graph.value == pytest.approx(recompute.value, rel=1e-6)
    size = float(graph.grad.abs().max())
    torch.testing.assert_close(recompute.grad, graph.grad, rtol=1e-3, atol=1e-4 * size)


class Negative(RegionDefense):
    """Turns light into dark and back."""

    def defend_template(self, crop, crops):
        return 1 - crop

    def defend_search(self, crop):
        return 1 - crop


def test_who_does_not_look_through_a_defense_may_go_the_wrong_way():
    estimator = tiny_estimator(Negative())
    x, y, metadata = SCENE
    adaptive, other = (
        PatchAttack(estimator, max_iter=4, adaptive=flag, verbose=False).generate(x=x, y=y, y_patch_metadata=metadata)
        for flag in (True, False)
    )
    assert l1(estimator, adaptive) - l1(estimator, x) > 1.2 * (l1(estimator, other) - l1(estimator, x))


@pytest.mark.parametrize("name", ["dualossdef", "templateadaptation"])
def test_attacks_that_run_with_the_tracker_go_through_region_defenses(name, tmp_path):
    estimator = tiny_estimator(*CHAINS[name](tmp_path))
    x_adv = RTAA(estimator, max_iter=2, verbose=False).generate(x=SCENE[0], y=SCENE[1])
    bare = RTAA(tiny_estimator(), max_iter=2, verbose=False).generate(x=SCENE[0], y=SCENE[1])
    assert (x_adv != bare).any()
    assert l1(estimator, x_adv) != l1(estimator, SCENE[0])
