"""A race of attacks for a budget of gradient evaluations, which the tracker's own run decides.

Successive halving (Jamieson and Talwalkar 2016): all contenders begin, and after each round the better half goes on,
each from its own best patch. In each round steps become smaller along half a cosine, beginning anew with large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent
from armory_skelevision.attacks.patch.objective import PatchObjective, evaluate_together
from armory_skelevision.boxes import iou
from armory_skelevision.tracking import Step
from armory_skelevision.validation import InvalidValueError

# Of the first step of each round, in units of the colour range.
STEP_SIZE = 0.4
MOMENTUM = 0.75
# Fewer steps in a round tell nothing about a contender.
MIN_STEPS = 5


class Round(NamedTuple):
    """A part of the budget: so many gradient evaluations for each of the contenders that lead."""

    contenders: int
    steps: int


def plan_rounds(contenders: int, budget: int) -> list[Round]:
    """Rounds that share a budget of gradient evaluations about equally, each with half as many contenders.

    A budget that is too small for `MIN_STEPS` each leaves the last contenders out. All rounds together have exactly
    ``budget`` evaluations.
    """
    while contenders > 1 and budget // _count_rounds(contenders) < MIN_STEPS * contenders:
        contenders -= 1
    rounds = _count_rounds(contenders)
    counts = [math.ceil(contenders / 2**number) for number in range(rounds - 1)]
    plan = [Round(count, budget // rounds // count) for count in counts]
    return [*plan, Round(1, budget - sum(count * steps for count, steps in plan))]


def race(contenders: Sequence[Contender], rounds: Sequence[Round]) -> Iterator[BestIterate]:
    """Let contenders compete; yields the best patch so far after each gradient evaluation."""
    leaders = list(contenders)
    for count, steps in rounds:
        leaders = sorted(leaders, key=lambda each: each.best.value, reverse=True)[:count]
        for _ in _advance(leaders, steps):
            yield max((each.best for each in contenders), key=lambda best: best.value)


def _advance(leaders: Sequence[Contender], steps: int) -> Iterator[None]:
    """Let each take some steps from its best patch so far, all together; yields after each gradient evaluation."""
    ascent = GradientAscent(STEP_SIZE, steps, "sign", "cosine", MOMENTUM)

    def evaluate(patches: Mapping[int, Tensor], with_grad: bool) -> list[ValueAndGrad]:
        return evaluate_runs([leaders[number].run for number in patches], list(patches.values()), with_grad)

    for step, kept in enumerate(ascent.iterate_all(evaluate, [leader.best.image for leader in leaders])):
        for leader, best in zip(leaders, kept, strict=True):
            if best.value > leader.best.value:
                leader.best = best
            if step < steps:  # The last patches are judged without a gradient.
                yield


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


def _count_rounds(contenders: int) -> int:
    return math.ceil(math.log2(contenders)) + 1
