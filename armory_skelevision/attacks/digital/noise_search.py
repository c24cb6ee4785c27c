"""The search for little noise that lowers a score, by asking for scores alone (Jia et al., CVPR 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Numbers of the published code: share of the way to the heavy noise of a first step, candidates of a round, rounds and
# steps without success before giving up, and how fast steps grow and shrink.
FIRST_STEP = 0.05
CANDIDATES = 10
MOST_ROUNDS = 5
MOST_STEPS = 30
LARGEST_SPREAD = 0.3
RATE = 0.9


class Candidate(NamedTuple):
    """A noisy frame and its score."""

    frame: Tensor
    score: float


def enlarge(noise: Tensor, grain: int, height: int, width: int) -> Tensor:
    """Noise (h, w, 3) with each value on a square of ``grain`` pixels, cut to (height, width, 3)."""
    return noise.repeat_interleave(grain, 0).repeat_interleave(grain, 1)[:height, :width]


class NoiseSearch:
    """Walks from a clean frame towards a heavily noisy one, sideways at equal noise where that lowers the score more.

    Args:
        score: What is to be lowered, as a function of a frame; each call is a query.
        clean: The frame (H, W, 3), values in [0, 1].
        heavy: The same frame under heavy noise.
        eps: Largest root mean square of the noise.
        budget: Most queries.
        grain: Side in pixels of the squares on which sideways steps are constant.
        generator: Draws the sideways steps, on the CPU.
    """

    def __init__(
        self,
        score: Callable[[Tensor], float],
        clean: Tensor,
        heavy: Tensor,
        eps: float,
        budget: int,
        grain: int,
        generator: torch.Generator,
    ) -> None:
        self._score = score
        self._clean = clean
        self._heavy = heavy
        self._eps = eps
        self._grain = grain
        self._generator = generator
        self._step = self._spread = FIRST_STEP
        self.left = budget

    def run(self, start: Tensor, goal: float) -> Candidate:
        """Search until the score is at most ``goal`` or the budget is spent.

        Args:
            start: Where to start, such as the clean frame with some of the previous frame's noise.
            goal: The score at which to stop.

        Returns:
            The frame found and its score.
        """
        best = self._try(self._nearer(start))
        while best.score > goal and self.left > 0:
            best = self._walk_sideways(best)
            best = self._walk_on(best)
        return best

    def _walk_sideways(self, best: Candidate) -> Candidate:
        """The best of some random steps tangential to the way, if it is no worse than now."""
        for _ in range(MOST_ROUNDS):
            tries = [self._try(self._beside(best.frame)) for _ in range(min(CANDIDATES, self.left))]
            if not tries:
                break
            good = sum(candidate.score <= best.score for candidate in tries) / len(tries)
            if good < 0.3:
                self._spread /= RATE
            elif good > 0.7:
                self._spread *= RATE
            if good > 0:
                return min(tries, key=lambda candidate: candidate.score)
            if self._spread > LARGEST_SPREAD:
                break
        return best

    def _walk_on(self, best: Candidate) -> Candidate:
        """The first of ever larger steps towards the heavy noise that is no worse than now."""
        for _ in range(min(MOST_STEPS, self.left)):
            candidate = self._try(self._nearer(best.frame))
            if candidate.score <= best.score:
                self._step *= RATE
                return candidate
            self._step = min(self._step / RATE, 1.0)
        return best

    def _nearer(self, frame: Tensor) -> Tensor:
        return self._limit(frame + self._step * (self._heavy - frame))

    def _beside(self, frame: Tensor) -> Tensor:
        way = self._heavy - frame
        height, width = frame.shape[:2]
        coarse = torch.randn(-(-height // self._grain), -(-width // self._grain), 3, generator=self._generator)
        noise = enlarge(coarse.to(frame), self._grain, height, width)
        noise -= (noise * way).sum() / (way * way).sum().clamp(min=1e-12) * way
        return self._limit(frame + self._spread * way.norm() / noise.norm() * noise)

    def _limit(self, frame: Tensor) -> Tensor:
        noise = frame - self._clean
        size = float(noise.square().mean().sqrt())
        return (self._clean + noise * min(1.0, self._eps / max(size, 1e-12))).clamp(0, 1)

    def _try(self, frame: Tensor) -> Candidate:
        self.left -= 1
        return Candidate(frame, self._score(frame))
