import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from doubles import SMALL, random_estimator, screen_scene, tiny_estimator

from armory_skelevision.attacks import gradients
from armory_skelevision.attacks.gradients import AttackedVideo, CropGradient
from armory_skelevision.attacks.objectives import TargetBox, make_objective
from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.networks import SiamRPN
from armory_skelevision.networks.inference import warn_of_slow_bf16
from armory_skelevision.tracking import CropDefense, TrackerSettings

CPU = torch.device("cpu")


def scene_of(frames=5, shift=(0, 0)):
    x, y, metadata = screen_scene(frames=frames)
    metadata[0]["gs_coords"] = metadata[0]["gs_coords"] + np.array(shift)
    metadata[0]["masks"] = np.ones_like(metadata[0]["masks"])
    return read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0)


def value_and_grad(estimator, scene, loss="l1", **kwargs):
    patch = torch.rand(*scene.patch_hw, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target_box = TargetBox(shift=(1.0, 0.0)) if loss == "targeted" else None
    objective = make_objective(loss, scene.truth_xyxy, target_box, estimator.settings)
    tracker = CropGradient(estimator.model, estimator.settings, **kwargs)
    return tracker.value_and_grad(scene.frames(patch), scene.truth_xyxy[0], objective, patch)


def cosine(a, b):
    return torch.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0).item()


# Behind the target, so that template and windows see it; beside it, so that only some windows do; out of sight.
PLACES = {"behind": (0, 0), "beside": (62, 10)}


@pytest.mark.parametrize("shift", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("loss", ["l1", "expected_l1", "giou", "expected_giou", "score", "rank_margin", "targeted"])
def test_both_memory_modes_give_the_same_gradient(loss, shift):
    estimator, scene = tiny_estimator(), scene_of(frames=4, shift=shift)
    graph = value_and_grad(estimator, scene, loss, memory="graph")
    recompute = value_and_grad(estimator, scene, loss, memory="recompute")
    assert graph.value == pytest.approx(recompute.value, rel=1e-6)
    assert graph.grad.abs().max() > 0
    torch.testing.assert_close(recompute.grad, graph.grad, rtol=1e-4, atol=1e-5 * float(graph.grad.abs().max()))


@pytest.mark.parametrize("with_grad", [True, False])
def test_videos_in_lockstep_give_what_each_gives_alone(with_grad):
    estimator = tiny_estimator()
    scenes = [scene_of(), scene_of(frames=3, shift=PLACES["beside"]), scene_of(shift=(1000, 0))]
    tracker = CropGradient(estimator.model, estimator.settings, memory="graph")

    def show(seed, scene):
        patch = torch.rand(*scene.patch_hw, 3, generator=torch.Generator().manual_seed(seed))
        objective = make_objective("expected_l1", scene.truth_xyxy, None, estimator.settings)
        return AttackedVideo(scene.frames(patch.requires_grad_(with_grad)), scene.truth_xyxy[0], objective, patch)

    ways = (tracker._evaluate_in_lockstep, tracker.evaluate_all)  # the second one by one on a CPU
    together, alone = (way(list(map(show, range(3), scenes)), with_grad) for way in ways)
    for found, expected in zip(together, alone, strict=True):
        assert found.value == pytest.approx(expected.value, rel=1e-5)
        if expected.grad is None:
            assert found.grad is None
        else:
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-3, atol=1e-4 * float(expected.grad.max()))
    assert [result.grad is not None for result in alone] == [with_grad, with_grad, False]


def test_chunks_do_not_matter(monkeypatch):
    estimator, scene = tiny_estimator(), scene_of()
    whole = value_and_grad(estimator, scene, memory="recompute")
    monkeypatch.setattr(gradients, "CHUNK", 2)
    parts = value_and_grad(estimator, scene, memory="recompute")
    assert cosine(whole.grad, parts.grad) > 0.999999


def test_the_colour_beyond_the_border_depends_on_the_patch_in_both_memory_modes(monkeypatch):
    monkeypatch.setattr(gradients, "CHUNK", 2)
    x, y, metadata = screen_scene()
    y[0]["boxes"] -= np.array([62, 0, 62, 0], dtype=np.float32)  # partly outside
    scene = read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0)
    estimator, ways = tiny_estimator(), ("graph", "recompute")
    graph, recompute = (value_and_grad(estimator, scene, memory=memory).grad for memory in ways)
    torch.testing.assert_close(recompute, graph, rtol=1e-4, atol=1e-5 * float(graph.abs().max()))


@pytest.mark.parametrize("memory", ["graph", "recompute"])
def test_a_patch_out_of_sight_has_no_gradient(memory):
    outcome = value_and_grad(tiny_estimator(), scene_of(shift=(1000, 0)), memory=memory)
    assert outcome.grad is None and np.isfinite(outcome.value)


@pytest.mark.parametrize("memory", ["graph", "recompute"])
def test_frames_that_do_not_show_the_patch_are_not_differentiated(memory, monkeypatch):
    x, y, metadata = screen_scene(frames=6)
    metadata[0]["masks"][[0, 2, 3, 5]] = 0
    scene = read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0)
    differentiated = []

    def embed(self, crops):
        # the second pass of "recompute" and the only one of "graph" have gradients on
        differentiated.extend([crops.shape[-1]] * len(crops) if crops.requires_grad else [])
        return SiamRPN.__dict__["_embed"](self, crops)

    monkeypatch.setattr(SiamRPN, "_embed", SiamRPN.embed, raising=False)
    monkeypatch.setattr(SiamRPN, "embed", embed)
    assert value_and_grad(tiny_estimator(), scene, memory=memory).grad is not None
    assert differentiated == [SMALL.instance_size] * 2


@pytest.mark.parametrize("shown", [[0], [5], [2, 5], [0, 3], [1, 2, 3]], ids=str)
def test_both_memory_modes_agree_wherever_the_patch_is_shown(shown, monkeypatch):
    monkeypatch.setattr(gradients, "CHUNK", 2)
    x, y, metadata = screen_scene(frames=6)
    hidden = [index for index in range(6) if index not in shown]
    metadata[0]["masks"][hidden] = 0
    scene = read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0)
    graph, recompute = (
        value_and_grad(tiny_estimator(), scene, memory=memory).grad for memory in ("graph", "recompute")
    )
    assert graph.abs().max() > 0
    torch.testing.assert_close(recompute, graph, rtol=1e-4, atol=1e-5 * float(graph.abs().max()))


@pytest.mark.parametrize("memory", ["graph", "recompute"])
def test_an_objective_that_nothing_changes_has_no_gradient(memory):
    estimator, scene = tiny_estimator(), scene_of()
    patch = torch.full((*scene.patch_hw, 3), 0.5, requires_grad=True)
    tracker = CropGradient(estimator.model, estimator.settings, memory)
    outcome = tracker.value_and_grad(scene.frames(patch), scene.truth_xyxy[0], lambda *_: torch.tensor(3.0), patch)
    assert outcome == (3.0, None)


def test_a_source_that_the_value_does_not_depend_on_has_no_gradient():
    estimator, scene = tiny_estimator(), scene_of()
    patch, other = (torch.full((*scene.patch_hw, 3), 0.5, requires_grad=True) for _ in range(2))
    objective = make_objective("l1", scene.truth_xyxy, None, estimator.settings)
    tracker = CropGradient(estimator.model, estimator.settings, "graph")
    assert tracker.value_and_grad(scene.frames(patch), scene.truth_xyxy[0], objective, other).grad is None


@pytest.mark.parametrize("memory", ["graph", "recompute"])
def test_defenses_and_precision_reach_the_tracker(memory):
    estimator, scene = tiny_estimator(), scene_of()
    plain = value_and_grad(estimator, scene, memory=memory)
    half = value_and_grad(estimator, scene, memory=memory, precision="bf16")
    assert plain.value != half.value == pytest.approx(plain.value, rel=0.05)
    assert 0.5 < cosine(plain.grad, half.grad) < 0.9999999
    with_graph = value_and_grad(estimator, scene, memory="graph", precision="bf16")
    assert half.value == pytest.approx(with_graph.value, rel=1e-6) and cosine(half.grad, with_graph.grad) > 0.999

    class Dim(CropDefense):
        def defend_template(self, crop, crops):
            assert crops.network is estimator.model
            return crop * 0.8

        def defend_search(self, crop):
            return crop * 0.5

    dimmed = value_and_grad(estimator, scene, memory=memory, defenses=[Dim()])
    assert dimmed.value == pytest.approx(value_and_grad(estimator, scene, memory="graph", defenses=[Dim()]).value)
    assert dimmed.value != pytest.approx(plain.value, rel=1e-6)


def test_auto_looks_at_the_free_memory(monkeypatch):
    chooser = CropGradient(tiny_estimator().model, TrackerSettings())
    assert chooser._fits(5, CPU)
    assert not chooser._fits(10**6, CPU)
    half = 20 * 470 * 287**2
    for free, fits in ((2 * half, False), (2 * half + 2, True)):
        monkeypatch.setattr(gradients.psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        assert chooser._fits(20, CPU) == fits
    gpu = torch.device("cuda:1")
    for free, fits in ((2 * half, False), (2 * half + 2, True)):
        monkeypatch.setattr(gradients.psutil, "virtual_memory", lambda: pytest.fail("a GPU has memory of its own"))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free * (device == gpu), 0))
        assert chooser._fits(20, gpu) == fits


@pytest.mark.parametrize(
    ("memory", "fits", "recomputed"),
    [("auto", True, 0), ("auto", False, 1), ("graph", False, 0), ("recompute", True, 1)],
)
def test_only_what_does_not_fit_is_recomputed(memory, fits, recomputed, monkeypatch):
    calls, recompute = [], CropGradient._recompute
    monkeypatch.setattr(CropGradient, "_fits", lambda self, frames, device: calls.append((frames, device)) or fits)
    counted = []
    monkeypatch.setattr(CropGradient, "_recompute", lambda self, *args: counted.append(1) or recompute(self, *args))
    assert value_and_grad(tiny_estimator(), scene_of(frames=3), memory=memory).grad is not None
    assert len(counted) == recomputed and calls == ([(3, CPU)] if memory == "auto" else [])


def test_bf16_points_the_same_way():
    estimator, scene = random_estimator(), scene_of(frames=2)
    full = value_and_grad(estimator, scene)
    half = value_and_grad(estimator, scene, precision="bf16")
    assert half.grad.dtype == torch.float32
    assert full.value != half.value == pytest.approx(full.value, rel=0.05)
    assert cosine(full.grad, half.grad) > 0.5


@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_bf16_in_software_is_warned_of(capability, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_slow_bf16("float32", CPU)
        warn_of_slow_bf16("bf16", CPU)
    expected = ['"precision": "bf16" takes many times as long as "float32" on this processor (AVX2, no AVX-512)']
    assert [str(warning.message) for warning in caught] == (expected if capability == "AVX2" else [])
