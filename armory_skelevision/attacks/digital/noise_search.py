"""The search for little noise that lowers a score, from scores alone (Jia et al., CVPR 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

# Constants of the published code. FIRST_STEP is a share of the way to the heavy noise; a round is CANDIDATES
# tangential steps; without success a search ends after MAX_ROUNDS rounds or MAX_STEPS normal steps, or when the
# tangential steps exceed MAX_SPREAD; RATE is how fast steps grow and shrink.
FIRST_STEP = 0.05
CANDIDATES = 10
MAX_ROUNDS = 5
MAX_STEPS = 30
MAX_SPREAD = 0.3
RATE = 0.9


class Candidate(NamedTuple):
    """A noisy frame (H, W, 3) and its score."""

    frame: Tensor
    score: float


def draw_blocks(draw: Callable[[tuple[int, int, int]], Tensor], frame: Tensor, block_size: int) -> Tensor:
    """Noise of the shape, dtype and device of a frame (H, W, 3), constant on square blocks of ``block_size`` pixels.

    ``draw`` draws a value for each block and channel, of the shape that it gets.
    """
    height, width = frame.shape[:2]
    values = draw((-(-height // block_size), -(-width // block_size), 3)).to(frame)
    return values.repeat_interleave(block_size, 0).repeat_interleave(block_size, 1)[:height, :width]


@dataclass
class NoiseSearch:
    """Moves from a clean frame towards a heavily noisy one, alternating tangential steps and normal steps.

    Normal steps go towards the heavy noise. Tangential steps go at a right angle to that direction, at about the same
    amount of noise, to where the score is lower.

    Attributes:
        score: The score of a frame (H, W, 3), to be lowered; each call is a query.
        clean: The frame (H, W, 3), values in [0, 1].
        heavy: The same frame under heavy noise.
        eps: Bound of the root mean square of the noise.
        queries_left: Number of queries that may still be made.
        block_size: Side in pixels of the square blocks on which tangential steps are constant.
        generator: Draws the tangential steps, on the CPU.
        step: Size of the next normal step, as a share of the way to the heavy noise.
        spread: Size of the next tangential step, relative to that way.
    """

    score: Callable[[Tensor], float]
    clean: Tensor
    heavy: Tensor
    eps: float
    queries_left: int
    block_size: int
    generator: torch.Generator
    step: float = FIRST_STEP
    spread: float = FIRST_STEP

    def run(self, start: Tensor, stop_score: float) -> Candidate:
        """Search, from a frame (H, W, 3), until the score is at most ``stop_score`` or all queries are made.

        Returns:
            The last frame that was accepted, and its score.
        """
        best = self._query(self._normal_step(start))
        while best.score > stop_score and self.queries_left > 0:
            best = self._search_tangential(best)
            best = self._search_normal(best)
        return best

    def _search_tangential(self, best: Candidate) -> Candidate:
        """The best of some random tangential steps, if its score is not higher."""
        for _ in range(MAX_ROUNDS):
            count = min(CANDIDATES, self.queries_left)
            candidates = [self._query(self._tangential_step(best.frame)) for _ in range(count)]
            if not candidates:
                break
            accepted = sum(candidate.score <= best.score for candidate in candidates) / len(candidates)
            if accepted < 0.3:
                self.spread /= RATE
            elif accepted > 0.7:
                self.spread *= RATE
            if accepted > 0:
                return min(candidates, key=lambda candidate: candidate.score)
            if self.spread > MAX_SPREAD:
                break
        return best

    def _search_normal(self, best: Candidate) -> Candidate:
        """The first of ever larger normal steps whose score is not higher."""
        for _ in range(min(MAX_STEPS, self.queries_left)):
            candidate = self._query(self._normal_step(best.frame))
            if candidate.score <= best.score:
                self.step *= RATE
                return candidate
            self.step = min(self.step / RATE, 1.0)
        return best

    def _normal_step(self, frame: Tensor) -> Tensor:
        return self._project(frame + self.step * (self.heavy - frame))

    def _tangential_step(self, frame: Tensor) -> Tensor:
        way = self.heavy - frame
        noise = draw_blocks(partial(torch.randn, generator=self.generator, dtype=torch.float32), frame, self.block_size)
        noise -= (noise * way).sum() / (way * way).sum().clamp(min=1e-12) * way
        return self._project(frame + self.spread * way.norm() / noise.norm() * noise)

    def _project(self, frame: Tensor) -> Tensor:
        """The frame with its noise scaled down to the bound, in [0, 1]."""
        noise = frame - self.clean
        size = float(noise.square().mean().sqrt())
        return (self.clean + noise * min(1.0, self.eps / max(size, 1e-12))).clamp(0, 1)

    def _query(self, frame: Tensor) -> Candidate:
        self.queries_left -= 1
        return Candidate(frame, self.score(frame))
