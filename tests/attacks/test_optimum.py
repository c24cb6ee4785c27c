"""Every loss finds the best patch of a tracker for which it is known."""

from typing import get_args

import pytest
import torch
from doubles import SMALL, screen_scene

from armory_skelevision.attacks import AutoPatch, PatchAttack
from armory_skelevision.attacks.objectives import Loss
from armory_skelevision.attacks.patch import read_scene
from armory_skelevision.attacks.patch.race import judge
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.networks import RPNOutput, SiamRPN
from armory_skelevision.tracking.anchors import SIZES_WH

UPRIGHT = SIZES_WH.index((40, 80))  # the anchor of the target's shape


class RedSiamRPN(SiamRPN):
    """The redder the window, the further to the right its box, the lower its score, and the higher one further off."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.keypoint_head = None

    def embed(self, images):
        return images[:, 2:] * self.scale / 255

    def predict_head(self, z_features, x_features):
        size = (x_features.shape[-1] - 127) // 8 + 1
        red = x_features.mean()
        cls, loc = torch.zeros(1, 2, 5, size, size), torch.zeros(1, 4, 5, size, size)
        logits, shifts = torch.full_like(cls[:, 1], -9.0), torch.zeros_like(loc[:, 0])
        middle = size // 2
        on, off = torch.zeros_like(logits), torch.zeros_like(logits)
        on[:, UPRIGHT, middle, middle] = 1
        off[:, UPRIGHT, middle, middle + 3] = 1
        logits = logits + on * (11 - red) + off * (9 + red)
        loc = torch.stack([shifts + 0.2 * on * red, *loc[:, 1:].unbind(1)], dim=1)
        cls = torch.stack([torch.zeros_like(logits), logits], dim=1)
        return RPNOutput(cls.flatten(1, 2), loc.flatten(1, 2))


@pytest.fixture
def tracker():
    return SiamRPNEstimator(RedSiamRPN().eval().requires_grad_(False), SMALL, device_type="cpu")


@pytest.fixture
def scene():
    x, y, metadata = screen_scene()
    metadata[0]["shading"] = False
    y[0]["boxes"][:] = y[0]["boxes"][0]
    return read_scene(x[0], y[0]["boxes"], metadata[0], torch.device("cpu"), 0)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_finds_it(loss, tracker, scene):
    target_box = {"shift": [1.0, 0.0]} if loss == "targeted" else None
    attack = PatchAttack(tracker, loss=loss, target_box=target_box, max_iter=10, verbose=False)
    found = attack.run([scene])[10].value
    objective = attack.make_objective([scene], 0)
    grey, red = torch.full((*scene.patch_hw, 3), 0.5), torch.ones(*scene.patch_hw, 3)
    start, best = (objective(patch, False).value for patch in (grey, red))
    assert found - start >= 0.95 * (best - start) > 0


def test_auto_patch_finds_the_worst_case(tracker, scene):
    loss = PatchAttack(tracker, verbose=False).make_objective([scene], 0)
    grey, red = torch.full((*scene.patch_hw, 3), 0.5), torch.ones(*scene.patch_hw, 3)
    start, worst = (judge([loss], [patch], False)[0].value for patch in (grey, red))
    found = AutoPatch(tracker, budget=20, verbose=False).run([scene])[20].value
    assert found - start >= 0.95 * (worst - start) > 0
