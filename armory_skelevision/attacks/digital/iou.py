"""The IoU attack: noise found frame by frame from nothing but predicted boxes (Jia et al., CVPR 2021)."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import trange

from armory_skelevision.attacks.digital.noise_search import NoiseSearch, enlarge
from armory_skelevision.attacks.digital.online import OnlineAttack, TrackingSession
from armory_skelevision.boxes import cxcywh_to_xyxy, iou
from armory_skelevision.models.inputs import check_positive, check_whole

logger = logging.getLogger(__name__)

# Heavy noise adds this, nothing, or takes this away, each with the same chance.
HEAVY_NOISE = 128 / 255
# Weight of the overlap with the clean frame's box; the rest goes to that with the previous frame's box.
SPATIAL_WEIGHT = 0.9
# How much of the previous frame's noise a frame starts with.
CARRIED = 0.5


class IoUAttack(OnlineAttack):
    """A black-box attack that lowers the overlap of the tracked box with the clean frame's and the previous frame's.

    Each query asks the tracker for its box in the next frame, and nothing else. Two queries show the box in the clean
    frame and under heavy noise; then a `NoiseSearch` looks for less noise that does as much. The noise lies on the
    whole frame, since the attacker does not know where the tracker looks, and frames keep their float values.

    The published noise differs from pixel to pixel. A tracker that was trained on noisy pictures hardly minds that, as
    it looks at a resized crop; noise that is equal on squares of ``grain`` pixels reaches it better.

    The published code stops where the noise gets very large; here it never exceeds ``eps``, and the search of a frame
    never takes more than ``max_queries``.

    Args:
        estimator: Our tracker, without preprocessors of whole frames.
        eps: Largest root mean square of a frame's noise, over all its values; colours lie in [0, 1].
        grain: Side in pixels of the squares that the noise is equal on; 1 as published.
        max_queries: Most queries per frame, from 3.
        give_up: Where even the heavy noise leaves so much overlap, a frame is not searched; 0.8 as published. Behind a
            defense that removes heavy noise those are many; 1 searches all on which such noise has any effect.
        seed: Seed of the noise.
        verbose: Show a progress bar with the number of queries (on terminals).

    Attributes:
        queries: How many queries were made since the attack was made, all videos together. The number for each video is
            logged at the level INFO (`armory run --log-level armory_skelevision:info` shows it).

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    attack_params = [*OnlineAttack.attack_params, "eps", "grain", "max_queries", "give_up"]

    def __init__(
        self,
        estimator: Any,
        eps: float = 0.1,
        grain: int = 1,
        max_queries: int = 60,
        give_up: float = 0.8,
        seed: int = 0,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator, seed, verbose)
        self.eps = eps
        self.grain = grain
        self.max_queries = max_queries
        self.give_up = give_up
        self.queries = 0
        self._check_params()

    def _attack_frames(self, session: TrackingSession, generator: torch.Generator) -> None:
        before = self.queries
        carried = torch.zeros_like(session.video[0])
        silent = None if self.verbose else True
        bar = trange(1, len(session.video), desc="IoU attack", unit="frame", disable=silent, leave=False)
        for index in bar:
            clean = session.video[index].clone()
            noisy = self._attack_frame(session, index, carried, generator)
            session.video[index] = noisy
            session.advance(index)
            carried = noisy - clean
            bar.set_postfix(queries=self.queries - before)
        made, frames = self.queries - before, len(session.video) - 1
        logger.info("IoU attack: %d queries for %d frames, %.1f a frame", made, frames, made / frames)

    def _attack_frame(
        self, session: TrackingSession, index: int, carried: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The noisy frame; the video's own is left as the last query had it."""
        clean = session.video[index].clone()
        heavy = (clean + HEAVY_NOISE * self._draw_signs(clean, generator)).clamp(0, 1)
        previous_xyxy = cxcywh_to_xyxy(session.state.box_cxcywh)
        clean_xyxy = self._query(session, index, clean)
        goal = float(iou(self._query(session, index, heavy), clean_xyxy))
        if goal >= self.give_up:
            return (clean + carried).clamp(0, 1)

        def score(frame: Tensor) -> float:
            box_xyxy = self._query(session, index, frame)
            spatial, temporal = iou(box_xyxy, clean_xyxy), iou(box_xyxy, previous_xyxy)
            return float(SPATIAL_WEIGHT * spatial + (1 - SPATIAL_WEIGHT) * temporal)

        search = NoiseSearch(score, clean, heavy, self.eps, self.max_queries - 2, self.grain, generator)
        return search.run(clean + CARRIED * carried, goal).frame

    def _draw_signs(self, frame: Tensor, generator: torch.Generator) -> Tensor:
        height, width = frame.shape[:2]
        shape = (-(-height // self.grain), -(-width // self.grain), 3)
        return enlarge(torch.randint(-1, 2, shape, generator=generator).to(frame), self.grain, height, width)

    def _query(self, session: TrackingSession, index: int, frame: Tensor) -> Tensor:
        """The box (4,) xyxy that the tracker would find in ``frame``."""
        self.queries += 1
        session.video[index] = frame
        return cxcywh_to_xyxy(session.locate(index).box_cxcywh)

    def _check_params(self) -> None:
        super()._check_params()
        check_positive("eps", self.eps)
        check_whole("grain", self.grain)
        check_whole("max_queries", self.max_queries, least=3)
        check_positive("give_up", self.give_up)
