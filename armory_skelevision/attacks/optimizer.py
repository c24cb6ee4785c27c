"""Climbing an objective over a picture: update rules, step sizes, momentum, and which picture is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import Outcome

Update = Literal["sign", "gradient", "accumulated_sign"]
Keep = Literal["best", "last"]
Schedule = Literal["constant", "cosine"]


class Summit(NamedTuple):
    """Where a climb ended."""

    value: float
    """The objective there."""
    picture: Tensor


@dataclass(frozen=True)
class Ascent:
    """How to climb; pictures keep to [0, 1].

    Attributes:
        step_size: Step of an iteration, in units of the colour range.
        max_iter: Number of iterations; 0 only looks at the start.
        update: "sign" steps along the sign of the gradient; "gradient" along the gradient itself (SkeleVision, Eq. 4);
            "accumulated_sign" along the sign of the sum of all gradients so far.
        schedule: "constant", or "cosine": from ``step_size`` down to nearly 0 along half a cosine.
        momentum: Share of the earlier directions that is kept (Dong et al. 2018, Eq. 6, gradients scaled to mean 1).
        keep: "best": of all iterates the one with the highest objective; "last": the last.
    """

    step_size: float
    max_iter: int
    update: Update = "sign"
    schedule: Schedule = "constant"
    momentum: float = 0.0
    keep: Keep = "best"

    def climb(
        self,
        look: Callable[[Tensor, bool], Outcome],
        start: Tensor,
        steps: Callable[[int], Iterable[int]] = range,
        reach: Callable[[int, Summit], None] | None = None,
    ) -> Summit:
        """Climb from a start.

        Args:
            look: The objective of a picture, with its gradient if the flag says so. A gradient of None ends the climb.
            start: Any shape, in [0, 1].
            steps: Counts the iterations; gives progress bars their place.
            reach: Told, after each number of iterations from 0, what would be kept if the climb ended there.

        Returns:
            The picture that is kept, and its objective.
        """
        picture, best = start.detach(), Summit(-math.inf, start)
        velocity = torch.zeros_like(start)
        for index in steps(self.max_iter):
            outcome = look(picture, True)
            best = self._better(best, Summit(outcome.value, picture))
            if reach is not None:
                reach(index, best)
            if outcome.gradient is None:
                return best
            velocity = self._velocity(velocity, outcome.gradient)
            picture = (picture + self._step_size(index) * self._direction(velocity)).clamp(0, 1)
        best = self._better(best, Summit(look(picture, False).value, picture))
        if reach is not None:
            reach(self.max_iter, best)
        return best

    def _better(self, best: Summit, new: Summit) -> Summit:
        return new if self.keep == "last" or new.value > best.value else best

    def _velocity(self, velocity: Tensor, gradient: Tensor) -> Tensor:
        if self.update == "accumulated_sign":
            return velocity + gradient
        if self.momentum == 0:
            return gradient
        return self.momentum * velocity + gradient / gradient.abs().mean().clamp(min=torch.finfo(gradient.dtype).tiny)

    def _direction(self, velocity: Tensor) -> Tensor:
        return velocity if self.update == "gradient" else velocity.sign()

    def _step_size(self, index: int) -> float:
        if self.schedule == "constant":
            return self.step_size
        return self.step_size * (1 + math.cos(math.pi * index / self.max_iter)) / 2
