"""The IoU attack: noise found frame by frame from nothing but predicted boxes (Jia et al., CVPR 2021)."""

from __future__ import annotations

import logging
from functools import partial
from typing import Annotated, Any

import torch
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor

from armory_skelevision.attacks.digital.box_session import BoxSession
from armory_skelevision.attacks.digital.noise_search import NoiseSearch, draw_blocks
from armory_skelevision.attacks.digital.online import OnlineAttack, TrackingSession
from armory_skelevision.boxes import iou
from armory_skelevision.validation import PositiveFraction, Range, Seed, Step

Session = TrackingSession | BoxSession

logger = logging.getLogger(__name__)

# Heavy noise adds this, nothing, or takes this away, each with the same chance.
HEAVY_NOISE = 128 / 255
# Weight of the overlap with the clean frame's box; the rest is that of the overlap with the previous frame's box.
SPATIAL_WEIGHT = 0.9
# Share of the previous frame's noise that a frame starts with.
CARRIED = 0.5


class IoUAttack(OnlineAttack):
    """A black-box attack that lowers the overlap of the tracked box with the clean frame's and the previous frame's.

    Each query returns the tracker's box in the next frame, and nothing else. Two queries give the box in the clean
    frame and under heavy noise; then a `NoiseSearch` looks for less noise that lowers the overlap as much. The noise
    covers the whole frame, since the attacker does not know the search window, and frames keep their float values.

    The published noise differs from pixel to pixel. A tracker that was trained on noisy pictures is hardly affected by
    it, as the tracker sees a resized crop; noise that is constant on blocks of ``block_size`` pixels affects it more.

    Any of ART's object trackers will do. Of those that are not this package's, external trackers that Python can copy
    are asked at the cost of a frame; any other is shown the video from its start for each query.

    The published code stops where the noise gets very large; here it never exceeds ``eps``, and the search of a frame
    never takes more than ``max_queries``.

    Args:
        estimator: The tracker, without preprocessors of whole frames.
        eps: Bound of the root mean square of a frame's noise, in (0, 1]; colours lie in [0, 1].
        block_size: Side in pixels of the square blocks on which the noise is constant; 1 as published.
        max_queries: Maximum number of queries per frame, at least 3.
        skip_threshold: A frame is skipped where the overlap under the heavy noise is at least this; 0.8 as published.
            Behind a defense that removes heavy noise, many frames are skipped; 1 skips only those on which such
            noise has no effect.
        verbose: Show progress with the number of queries: a bar on terminals, else a line a minute.

    Attributes:
        queries: Number of queries so far, over all videos. The number for each video is logged at the level INFO
            (`armory run --log-level armory_skelevision:info` shows it).
    """

    _estimator_requirements = (BaseEstimator, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        eps: PositiveFraction = 0.1,
        block_size: Annotated[int, Range(1, 256)] = 1,
        max_queries: Annotated[int, Range(3, 100_000)] = 60,
        skip_threshold: Step = 0.8,
        seed: Seed = 0,
        verbose: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in self.attack_params}
        super().__init__(estimator, **settings)
        self.queries = 0

    def _attack_frames(self, session: Session, generator: torch.Generator) -> None:
        before = self.queries
        carried = torch.zeros_like(session.video[0])
        bar = self._progress(range(1, len(session.video)), "IoU attack", "frame")
        for index in bar:
            clean = session.video[index].clone()
            noisy = self._attack_frame(session, index, carried, generator)
            session.video[index] = noisy
            session.advance(index)
            carried = noisy - clean
            bar.set_postfix(queries=self.queries - before)
        queries, frames = self.queries - before, len(session.video) - 1
        logger.info("IoU attack: %d queries for %d frames, %.1f a frame", queries, frames, queries / frames)

    def _attack_frame(self, session: Session, index: int, carried: Tensor, generator: torch.Generator) -> Tensor:
        """The noisy frame (H, W, 3); that of the video is left as the last query set it."""
        clean = session.video[index].clone()
        signs = draw_blocks(partial(torch.randint, -1, 2, generator=generator), clean, self.block_size)
        heavy = (clean + HEAVY_NOISE * signs).clamp(0, 1)
        previous_xyxy = session.box_xyxy
        clean_xyxy = self._query(session, index, clean)
        heavy_overlap = float(iou(self._query(session, index, heavy), clean_xyxy))
        if heavy_overlap >= self.skip_threshold:
            return (clean + carried).clamp(0, 1)

        def score(frame: Tensor) -> float:
            box_xyxy = self._query(session, index, frame)
            spatial, temporal = iou(box_xyxy, clean_xyxy), iou(box_xyxy, previous_xyxy)
            return float(SPATIAL_WEIGHT * spatial + (1 - SPATIAL_WEIGHT) * temporal)

        search = NoiseSearch(score, clean, heavy, self.eps, self.max_queries - 2, self.block_size, generator)
        return search.run(clean + CARRIED * carried, heavy_overlap).frame

    def _query(self, session: Session, index: int, frame: Tensor) -> Tensor:
        """The box (4,) xyxy that the tracker predicts if ``frame`` is frame ``index``."""
        self.queries += 1
        session.video[index] = frame
        return session.query(index)
