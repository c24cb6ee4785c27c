"""The objective of a patch against plain sums over scenes, transformations and frames, and autograd through them."""

import numpy as np
import pytest
import torch
from doubles import ColourTracker, screen_scene

from armory_skelevision.attacks.gradients import EstimatorGradient
from armory_skelevision.attacks.objectives import make_objective
from armory_skelevision.attacks.patch.eot import EOT, transform_patch
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.regularizers import distance_to_print, total_variation
from armory_skelevision.attacks.patch.scene import read_scene

PATCH_HW = (6, 7)


def scene_of(frames, seed, hidden=False):
    x, y, (metadata,) = screen_scene(frames=frames, seed=seed)
    metadata = metadata | {"masks": metadata["masks"] * (not hidden)}
    return read_scene(x[0], y[0]["boxes"], metadata, torch.device("cpu"), 0)


def objective_of(scenes, eot=None, **weights):
    def make(truth_xyxy):
        return make_objective("l1", truth_xyxy, None, None)

    tracker = EstimatorGradient(ColourTracker())
    return PatchObjective(scenes, tracker, make, eot, np.random.default_rng(3), **weights)


def some_patch():
    return torch.rand(*PATCH_HW, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25


def expected_of(patch, scenes, eot, tv_weight=0.0, print_weight=0.0):
    """The objective, with a graph: the mean over transformations of sums over scenes and frames."""
    rng, total = np.random.default_rng(3), 0
    samples = eot.samples if eot else 1
    for scene in scenes:
        for _ in range(samples):
            sample = eot.sample(rng, PATCH_HW, len(scene.video)) if eot else None
            shown = transform_patch(patch, sample) if sample else patch
            truth = scene.truth_xyxy[sample.frames] if sample else scene.truth_xyxy
            boxes = ColourTracker().boxes(scene.frames(shown, sample).render(), scene.truth_xyxy[0])
            total = total + (boxes - truth).abs().sum() / samples
        total = total - len(scene.video) * tv_weight * total_variation(patch)
        total = total - len(scene.video) * print_weight * distance_to_print(patch)
    return total


@pytest.mark.parametrize(
    "eot",
    [None, EOT(), EOT(samples=3), EOT(brightness=0.5, blur=1.0, noise=0.02, corners=2.0, frames=0.5, samples=2)],
    ids=["none", "all 0", "all 0, three times", "all"],
)
@pytest.mark.parametrize(
    "weights", [{}, {"tv_weight": 7.0}, {"print_weight": 5.0}, {"tv_weight": 1, "print_weight": 1}]
)
def test_value_and_gradient_are_those_of_the_plain_sum(eot, weights):
    scenes = [scene_of(4, seed=1), scene_of(3, seed=2)]
    patch = some_patch().requires_grad_()
    expected = expected_of(patch, scenes, eot, **weights)
    (grad,) = torch.autograd.grad(expected, patch)
    found = objective_of(scenes, eot, **weights)(patch, with_grad=True)
    assert found.value == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(found.grad, grad, rtol=1e-4, atol=1e-6 * float(grad.abs().max()))
    alone = objective_of(scenes, eot, **weights)(patch.detach(), with_grad=False)
    assert alone.value == pytest.approx(found.value, rel=1e-6) and alone.grad is None
    assert patch.grad is None


def test_without_transformations_each_scene_is_tracked_once(monkeypatch):
    tracked, predict = [], ColourTracker.predict
    monkeypatch.setattr(ColourTracker, "predict", lambda *args, **kwargs: tracked.append(1) or predict(*args, **kwargs))
    objective_of([scene_of(3, seed=1), scene_of(3, seed=2)])(some_patch(), with_grad=True)
    assert len(tracked) == 2


@pytest.mark.parametrize("eot", [None, EOT(noise=0.1)], ids=["none", "noise"])
@pytest.mark.parametrize("weights", [{}, {"tv_weight": 7.0}])
def test_only_scenes_that_show_the_patch_have_a_gradient(eot, weights):
    hidden, shown = scene_of(4, seed=1, hidden=True), scene_of(3, seed=2)
    patch = some_patch()
    unseen = objective_of([hidden], eot, **weights)(patch, with_grad=True)
    assert unseen.grad is None
    assert unseen.value == pytest.approx(expected_of(patch, [hidden], eot, **weights).item(), rel=1e-5)
    leaf = patch.clone().requires_grad_()
    both = objective_of([hidden, shown], eot, **weights)(patch, with_grad=True)
    (grad,) = torch.autograd.grad(expected_of(leaf, [hidden, shown], eot, **weights), leaf)
    torch.testing.assert_close(both.grad, grad, rtol=1e-4, atol=1e-6 * float(grad.abs().max()))
