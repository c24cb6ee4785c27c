"""Both memory modes of the patch attack, side by side on one network."""

from dataclasses import replace

import pytest
import torch
from doubles import screen_scene

from armory_skelevision.attacks.gradients import CropGradient
from armory_skelevision.attacks.objectives import make_objective
from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.tracking import VideoFrames


def check_same_gradient(network, settings, loss, frames=3, everywhere=False):
    """Assert that a network in float64 gives the same value and gradient in both modes, and that it gives one.

    ``everywhere`` shows the patch in all frames, without anything in front.
    """
    x, y, metadata = screen_scene(frames=frames)
    if everywhere:
        metadata[0]["masks"] = 0 * metadata[0]["masks"] + 1
    scene = read_scene(x[0], y[0]["boxes"], metadata[0], torch.device("cpu"), 0)
    # In float64: in float32 the last bit, which differs between batches, decides the side of a ReLU's kink.
    scene = replace(scene, video=VideoFrames(torch.from_numpy(x[0]).double()))
    generator = torch.Generator().manual_seed(0)
    patch = torch.rand(*scene.patch_hw, 3, dtype=torch.float64, generator=generator).requires_grad_()
    objective = make_objective(loss, scene.truth_xyxy, None, settings)
    graph, recompute = (
        CropGradient(network, settings, memory=memory).value_and_grad(
            scene.frames(patch), scene.truth_xyxy[0], objective, patch
        )
        for memory in ("graph", "recompute")
    )
    assert graph.value == pytest.approx(recompute.value, rel=1e-6)
    largest = float(graph.grad.abs().max())
    assert largest > 0
    torch.testing.assert_close(recompute.grad, graph.grad, rtol=1e-4, atol=1e-5 * largest)
