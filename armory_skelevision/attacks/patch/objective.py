"""What a patch is worth to an attacker: the objective over scenes and views, less what printing asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import Outcome
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.attacks.patch.eot import Jitter, look_at
from armory_skelevision.attacks.patch.regularizers import distance_to_print, total_variation
from armory_skelevision.attacks.patch.scene import Scene
from armory_skelevision.tracking import Frames


class Pass(Protocol):
    """How a tracked video's objective and gradient are found; see `passes`."""

    def value(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> float:
        """The objective alone."""
        ...

    def value_and_gradient(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> Outcome:
        """The objective and its gradient with respect to ``source``."""
        ...


class PatchObjective:
    """The objective of a patch, summed over scenes and averaged over views.

    Args:
        scenes: The videos that the patch shall work in.
        tracker_pass: How the tracker is asked.
        objective: Makes the objective for true boxes (F, 4).
        jitter: How views of the patch differ; None shows it as it is.
        rng: Draws the views.
        tv_weight: Weight of the patch's total variation, per frame.
        print_weight: Weight of its colours' distance from what can be printed, per frame.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        tracker_pass: Pass,
        objective: Callable[[Tensor], Objective],
        jitter: Jitter | None,
        rng: np.random.Generator,
        tv_weight: float = 0.0,
        print_weight: float = 0.0,
    ) -> None:
        self.scenes = scenes
        self.tracker_pass = tracker_pass
        self.objective = objective
        self.jitter = jitter
        self.rng = rng
        frames = sum(len(scene.video) for scene in scenes)
        self.tv_weight = tv_weight * frames
        self.print_weight = print_weight * frames

    def __call__(self, patch: Tensor, with_gradient: bool) -> Outcome:
        """The value of a patch (h, w, 3), and its gradient if wanted (None if no scene shows the patch)."""
        samples = self.jitter.samples if self.jitter else 1
        outcomes = [self._view(scene, patch, with_gradient) for scene in self.scenes for _ in range(samples)]
        value = sum(outcome.value for outcome in outcomes) / samples
        gradients = [outcome.gradient for outcome in outcomes if outcome.gradient is not None]
        gradient = torch.stack(gradients).sum(dim=0) / samples if gradients else None
        return self._less_penalties(Outcome(value, gradient), patch)

    def _view(self, scene: Scene, patch: Tensor, with_gradient: bool) -> Outcome:
        draw = self.jitter.draw(self.rng, (patch.shape[0], patch.shape[1]), len(scene.video)) if self.jitter else None
        with torch.set_grad_enabled(with_gradient):
            leaf = patch.detach().requires_grad_(with_gradient)
            shown = look_at(leaf, draw) if draw else leaf
        # The network is differentiated with respect to what is shown: one way back to the patch, however many frames.
        source = shown.detach().requires_grad_(with_gradient)
        frames = scene.frames(source, draw)
        objective = self.objective(scene.truth_xyxy[draw.frames] if draw else scene.truth_xyxy)
        if not with_gradient:
            return Outcome(self.tracker_pass.value(frames, scene.truth_xyxy[0], objective), None)
        outcome = self.tracker_pass.value_and_gradient(frames, scene.truth_xyxy[0], objective, source)
        if outcome.gradient is None or draw is None:
            return outcome
        return Outcome(outcome.value, torch.autograd.grad(shown, leaf, outcome.gradient)[0])

    def _less_penalties(self, outcome: Outcome, patch: Tensor) -> Outcome:
        if self.tv_weight == self.print_weight == 0:
            return outcome
        leaf = patch.detach().requires_grad_()
        with torch.enable_grad():
            penalty = self.tv_weight * total_variation(leaf) + self.print_weight * distance_to_print(leaf)
        pull = torch.autograd.grad(penalty, leaf)[0]
        gradient = outcome.gradient - pull if outcome.gradient is not None else None
        return Outcome(outcome.value - float(penalty.detach()), gradient)
