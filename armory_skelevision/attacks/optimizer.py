"""Gradient ascent on an image: update rules, step-size schedules, momentum, and the choice of the iterate to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.validation import InvalidValueError

Update = Literal["sign", "gradient", "accumulated_sign"]
Keep = Literal["best", "last"]
Schedule = Literal["constant", "cosine"]


class BestIterate(NamedTuple):
    """The iterate that is kept: the best one so far, or with ``keep="last"`` the last one."""

    value: float
    """The objective of the image."""
    image: Tensor
    """Any shape, in [0, 1]."""


@dataclass
class _Run:
    """Where the ascent from one start has come to."""

    image: Tensor
    velocity: Tensor
    best: BestIterate


@dataclass(frozen=True)
class GradientAscent:
    """Maximises an objective of an image whose colours stay in [0, 1].

    Attributes:
        step_size: Size of a step, in units of the colour range; above 0.
        max_iter: Number of iterations; 0 only evaluates the start.
        update: "sign" steps along the sign of the gradient; "gradient" along the gradient itself (SkeleVision, Eq. 4);
            "accumulated_sign" along the sign of the sum of all gradients so far.
        schedule: "constant", or "cosine": from ``step_size`` down to nearly 0 along half a cosine.
        momentum: Weight of the previous direction (Dong et al. 2018, Eq. 6, gradients scaled to mean 1), in [0, 1).
        keep: "best" keeps the iterate with the highest objective; "last" keeps the last one.
    """

    step_size: float
    max_iter: int
    update: Update = "sign"
    schedule: Schedule = "constant"
    momentum: float = 0.0
    keep: Keep = "best"

    def run(self, objective: Callable[[Tensor, bool], ValueAndGrad], start: Tensor) -> BestIterate:
        """The iterate that is kept at the end; see `iterate`."""
        return reduce(lambda _, latest: latest, self.iterate(objective, start))

    def iterate(
        self,
        objective: Callable[[Tensor, bool], ValueAndGrad],
        start: Tensor,
        progress: Callable[[int], Iterable[int]] = range,
    ) -> Iterator[BestIterate]:
        """Maximise an objective step by step.

        Args:
            objective: Value of an image, with its gradient if the flag is true. A gradient of None ends the run.
            start: First image, any shape, in [0, 1].
            progress: Counts the iterations; a progress bar may take the place of ``range``.

        Yields:
            The iterate that is kept after 0, 1, … steps.

        Raises:
            InvalidValueError: For an objective or a gradient of NaN, which no step can be chosen by.
        """
        together = self.iterate_all(lambda images, grad: [objective(images[0], grad)], [start], progress)
        return (best for (best,) in together)

    def iterate_all(
        self,
        objective: Callable[[Mapping[int, Tensor], bool], Sequence[ValueAndGrad]],
        starts: Sequence[Tensor],
        progress: Callable[[int], Iterable[int]] = range,
    ) -> Iterator[list[BestIterate]]:
        """The same from several starts, whose images are evaluated together.

        Args:
            objective: As for one, of the images by the numbers of their starts. A run that has ended is left out.
            starts: First images, each of any shape, in [0, 1].
            progress: As for one.

        Yields:
            The iterate that is kept from each start after 0, 1, … steps.
        """
        runs = [_Run(start.detach(), torch.zeros_like(start), BestIterate(-math.inf, start)) for start in starts]
        active = dict(enumerate(runs))
        for step in progress(self.max_iter):
            results = objective({number: run.image for number, run in active.items()}, True)
            for (number, run), (value, grad) in zip(list(active.items()), results, strict=True):
                _refuse_nan(value, grad, step)
                run.best = self._choose(run.best, BestIterate(value, run.image))
                if grad is None:
                    del active[number]
                else:
                    self._advance(run, grad, step)
            yield [run.best for run in runs]
            if not active:
                return
        results = objective({number: run.image for number, run in active.items()}, False)
        for run, (value, _) in zip(active.values(), results, strict=True):
            run.best = self._choose(run.best, BestIterate(value, run.image))
        yield [run.best for run in runs]

    def _advance(self, run: _Run, grad: Tensor, step: int) -> None:
        run.velocity = self._accumulate(run.velocity, grad)
        direction = run.velocity if self.update == "gradient" else run.velocity.sign()
        run.image = (run.image + self._step_size(step) * direction).clamp(0, 1)

    def _choose(self, best: BestIterate, new: BestIterate) -> BestIterate:
        return new if self.keep == "last" or new.value > best.value else best

    def _accumulate(self, velocity: Tensor, grad: Tensor) -> Tensor:
        if self.update == "accumulated_sign":
            return velocity + grad
        if self.momentum == 0:
            return grad
        return self.momentum * velocity + grad / grad.abs().mean().clamp(min=torch.finfo(grad.dtype).tiny)

    def _step_size(self, step: int) -> float:
        if self.schedule == "constant":
            return self.step_size
        return self.step_size * (1 + math.cos(math.pi * step / self.max_iter)) / 2


def _refuse_nan(value: float, grad: Tensor | None, step: int) -> None:
    if math.isnan(value) or (grad is not None and bool(grad.isnan().any())):
        raise InvalidValueError("estimator", "a loss and a gradient that are numbers", f"NaN in step {step}")
