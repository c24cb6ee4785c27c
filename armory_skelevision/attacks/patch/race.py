"""A race of attacks, each with the same share of a budget of gradient evaluations; the tracker's own run decides it.

Each contender makes one long ascent, in which steps become smaller along half a cosine. Short first heats that choose
who goes on (successive halving) were weaker: what leads after a few steps often stands still soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent
from armory_skelevision.attacks.patch.objective import PatchObjective, evaluate_together
from armory_skelevision.boxes import iou
from armory_skelevision.tracking import Step
from armory_skelevision.validation import InvalidValueError

# Of the first step, in units of the colour range.
STEP_SIZE = 0.4
MOMENTUM = 0.75
# Of each contender where there are several: shorter ascents end too early.
MIN_STEPS = 40


def race(contenders: Sequence[Contender], steps: int) -> Iterator[BestIterate]:
    """Let contenders take some steps each, all together; yields the best patch so far after each gradient evaluation.

    Raises:
        InvalidValueError: For a tracker whose boxes or gradients are NaN.
    """
    ascent = GradientAscent(STEP_SIZE, steps, "sign", "cosine", MOMENTUM)

    def evaluate(patches: Mapping[int, Tensor], with_grad: bool) -> list[ValueAndGrad]:
        return evaluate_runs([contenders[number].run for number in patches], list(patches.values()), with_grad)

    for step, kept in enumerate(ascent.iterate_all(evaluate, [each.best.image for each in contenders])):
        for contender, best in zip(contenders, kept, strict=True):
            contender.best = best
            if step < steps:  # The last patches are judged without a gradient.
                yield max((each.best for each in contenders), key=lambda best: best.value)


@dataclass
class Contender:
    """One attack in a race.

    Attributes:
        run: What it follows and what it is judged by.
        best: Its best patch so far; at first its start.
    """

    run: RealRun
    best: BestIterate


@dataclass
class RealRun:
    """A patch's losses, which it is changed by in turns, and its mean IoU in the tracker's own run, which judges it.

    What one loss has no gradient for, another may move: in turns they pass places where either alone stands still.

    Attributes:
        losses: Each over all scenes and transformations.
        make_judge: Makes the objective whose run judges, with the same transformations each time; None where there are
            no transformations: then the run of the loss itself judges.
    """

    losses: Sequence[PatchObjective]
    make_judge: Callable[[], PatchObjective] | None = None
    _turn: int = 0

    def next_loss(self) -> PatchObjective:
        """The loss whose turn it is."""
        self._turn += 1
        return self.losses[(self._turn - 1) % len(self.losses)]


def evaluate_runs(runs: Sequence[RealRun], patches: Sequence[Tensor], with_grad: bool) -> list[ValueAndGrad]:
    """Minus the mean IoU in each run under its own patch (h, w, 3), with the gradient of a loss if wanted.

    As ARMORY measures it, over all frames but the first.
    """
    makers = [run.make_judge for run in runs if run.make_judge is not None]
    losses = [run.next_loss() if with_grad else run.losses[0] for run in runs]
    if not makers:
        return judge(losses, patches, with_grad)
    grads = [each.grad for each in evaluate_together(losses, patches, True)] if with_grad else [None] * len(runs)
    judged = judge([make() for make in makers], patches, False)
    return [ValueAndGrad(value, grad) for (value, _), grad in zip(judged, grads, strict=True)]


def judge(losses: Sequence[PatchObjective], patches: Sequence[Tensor], with_grad: bool) -> list[ValueAndGrad]:
    """Minus the mean IoU in the run of each loss under its own patch, with the loss's gradient if wanted.

    Raises:
        InvalidValueError: For boxes that are not finite.
    """
    watched = [_Watched(loss) for loss in losses]
    results = evaluate_together([each.loss for each in watched], patches, with_grad)
    return [ValueAndGrad(-each.mean_iou, result.grad) for each, result in zip(watched, results, strict=True)]


class _Watched:
    """A loss that remembers how well the target was tracked in its runs."""

    def __init__(self, loss: PatchObjective) -> None:
        self.loss = replace(loss, objective=self._watch)
        self._make_objective = loss.objective
        self._overlaps: list[Tensor] = []

    @property
    def mean_iou(self) -> float:
        """Over all scenes and transformations."""
        return float(torch.stack(self._overlaps).mean())

    def _watch(self, truth_xyxy: Tensor) -> Objective:
        objective = self._make_objective(truth_xyxy)

        def measure(boxes_xyxy: Tensor, steps: Sequence[Step] | None) -> Tensor:
            found_xyxy = boxes_xyxy.detach().double()
            if not bool(torch.isfinite(found_xyxy).all()):
                raise InvalidValueError("estimator", "finite boxes", "NaN or infinity")
            self._overlaps.append(iou(found_xyxy, truth_xyxy.to(found_xyxy))[1:].mean())
            return objective(boxes_xyxy, steps)

        return measure
