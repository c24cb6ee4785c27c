"""A race of attacks for a budget of gradient evaluations, which the tracker's own run decides.

Successive halving (Jamieson and Talwalkar 2016): all contenders begin, and after each round the better half goes on,
each from its own best patch. In each round steps become smaller along half a cosine, beginning anew with large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent
from armory_skelevision.attacks.patch.objective import PatchObjective
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
        for leader in leaders:
            for _ in leader.advance(steps):
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

    def advance(self, steps: int) -> Iterator[None]:
        """Take some steps from the best patch so far; yields after each gradient evaluation."""
        ascent = GradientAscent(STEP_SIZE, steps, "sign", "cosine", MOMENTUM)
        for step, best in enumerate(ascent.iterate(self.run, self.best.image)):
            if best.value > self.best.value:
                self.best = best
            if step < steps:  # The last patch is judged without a gradient.
                yield


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

    def __call__(self, patch: Tensor, with_grad: bool) -> ValueAndGrad:
        """Minus the mean IoU under a patch (h, w, 3), RGB in [0, 1], with the gradient of a loss if wanted.

        As ARMORY measures it, over all frames but the first.
        """
        loss = self.losses[self._turn % len(self.losses)]
        self._turn += with_grad
        if self.make_judge is None:
            return judge(loss, patch, with_grad)
        grad = loss(patch, True).grad if with_grad else None
        return ValueAndGrad(judge(self.make_judge(), patch, False).value, grad)


def judge(loss: PatchObjective, patch: Tensor, with_grad: bool) -> ValueAndGrad:
    """Minus the mean IoU in the run of a loss, with the loss's gradient if wanted.

    Raises:
        InvalidValueError: For boxes that are not finite.
    """
    overlaps: list[Tensor] = []

    def watch(truth_xyxy: Tensor) -> Objective:
        objective = loss.objective(truth_xyxy)

        def measure(boxes_xyxy: Tensor, steps: Sequence[Step] | None) -> Tensor:
            found_xyxy = boxes_xyxy.detach().double()
            if not bool(torch.isfinite(found_xyxy).all()):
                raise InvalidValueError("estimator", "finite boxes", "NaN or infinity")
            overlaps.append(iou(found_xyxy, truth_xyxy.to(found_xyxy))[1:].mean())
            return objective(boxes_xyxy, steps)

        return measure

    grad = replace(loss, objective=watch)(patch, with_grad).grad
    return ValueAndGrad(-float(torch.stack(overlaps).mean()), grad)


def _count_rounds(contenders: int) -> int:
    return math.ceil(math.log2(contenders)) + 1
