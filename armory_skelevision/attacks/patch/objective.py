"""The objective of a patch: that of the tracked videos, over scenes and transformations, minus regularizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import AttackedVideo, TrackerGradient, ValueAndGrad
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.attacks.patch.eot import EOT, transform_patch
from armory_skelevision.attacks.patch.regularizers import distance_to_print, total_variation
from armory_skelevision.attacks.patch.scene import PatchScene


class ShownPatch(NamedTuple):
    """A patch in a scene."""

    video: AttackedVideo
    """The scene; its source is the patch as it is shown."""
    patch: Tensor
    """The patch itself, a leaf."""
    transformed: Tensor | None
    """The patch after a transformation, with its graph; None if it is shown as it is."""

    def to_patch(self, grad: Tensor) -> Tensor:
        """The gradient at the patch for that at the source."""
        return grad if self.transformed is None else torch.autograd.grad(self.transformed, self.patch, grad)[0]


@dataclass(frozen=True)
class PatchObjective:
    """The objective of a patch, summed over scenes and averaged over transformations.

    Attributes:
        scenes: The videos with their screens.
        tracker: Differentiates a tracked video.
        objective: Makes the objective of a video for its true boxes (F, 4).
        eot: Distribution of transformations of the patch; None leaves it unchanged.
        rng: Random generator of the transformations.
        tv_weight: Weight of the patch's total variation, per frame.
        print_weight: Weight of its colours' distance from printable ones, per frame.
    """

    scenes: Sequence[PatchScene]
    tracker: TrackerGradient
    objective: Callable[[Tensor], Objective]
    eot: EOT | None
    rng: np.random.Generator
    tv_weight: float = 0.0
    print_weight: float = 0.0

    def __call__(self, patch: Tensor, with_grad: bool) -> ValueAndGrad:
        """The objective of a patch (h, w, 3), RGB in [0, 1], with its gradient if wanted.

        The gradient is None if it is not wanted, or if no scene shows the patch to the tracker.
        """
        return evaluate_together([self], [patch], with_grad)[0]

    def show(self, patch: Tensor, with_grad: bool) -> list[ShownPatch]:
        """The patch in every scene, under as many transformations each as there are samples."""
        return [self._show(scene, patch, with_grad) for scene in self.scenes for _ in range(self._samples)]

    def combine(self, patch: Tensor, shown: Sequence[ShownPatch], results: Sequence[ValueAndGrad]) -> ValueAndGrad:
        """The objective of the patch for those of the videos that it is shown in."""
        value = sum(result.value for result in results) / self._samples
        pairs = zip(shown, results, strict=True)
        grads = [each.to_patch(result.grad) for each, result in pairs if result.grad is not None]
        grad = torch.stack(grads).sum(dim=0) / self._samples if grads else None
        return self._regularize(ValueAndGrad(value, grad), patch)

    @property
    def _samples(self) -> int:
        return self.eot.samples if self.eot else 1

    def _show(self, scene: PatchScene, patch: Tensor, with_grad: bool) -> ShownPatch:
        """A patch in one scene under one transformation."""
        sample = self.eot.sample(self.rng, (patch.shape[0], patch.shape[1]), len(scene.video)) if self.eot else None
        with torch.set_grad_enabled(with_grad):
            leaf = patch.detach().requires_grad_(with_grad)
            transformed = transform_patch(leaf, sample) if sample else None
        # The tracker is differentiated with respect to the transformed patch, whose own graph is needed only once.
        source = leaf if transformed is None else transformed.detach().requires_grad_(with_grad)
        objective = self.objective(scene.truth_xyxy[sample.frames] if sample else scene.truth_xyxy)
        video = AttackedVideo(scene.frames(source, sample), scene.truth_xyxy[0], objective, source)
        return ShownPatch(video, leaf, transformed)

    def _regularize(self, result: ValueAndGrad, patch: Tensor) -> ValueAndGrad:
        if self.tv_weight == self.print_weight == 0:
            return result
        leaf = patch.detach().requires_grad_()
        frames = sum(len(scene.video) for scene in self.scenes)
        with torch.enable_grad():
            penalty = self.tv_weight * frames * total_variation(leaf)
            penalty = penalty + self.print_weight * frames * distance_to_print(leaf)
        penalty_grad = torch.autograd.grad(penalty, leaf)[0]
        grad = result.grad - penalty_grad if result.grad is not None else None
        return ValueAndGrad(result.value - float(penalty.detach()), grad)


def evaluate_together(
    objectives: Sequence[PatchObjective], patches: Sequence[Tensor], with_grad: bool
) -> list[ValueAndGrad]:
    """Each objective of its own patch, with its gradient if wanted; all of one tracker, which evaluates them at once.

    Args:
        objectives: At least one.
        patches: As many, each (h, w, 3), RGB in [0, 1].
        with_grad: Whether the gradients are wanted.
    """
    shown = [objective.show(patch, with_grad) for objective, patch in zip(objectives, patches, strict=True)]
    videos = [each.video for part in shown for each in part]
    results = iter(objectives[0].tracker.evaluate_all(videos, with_grad))
    triples = zip(objectives, patches, shown, strict=True)
    return [objective.combine(patch, part, list(islice(results, len(part)))) for objective, patch, part in triples]
