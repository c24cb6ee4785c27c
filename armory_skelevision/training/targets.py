"""Targets of the RPN head for a search crop, anchor by anchor (Li et al. 2018, section 3.3; numbers as in PySOT).

Convention: arrays are laid out (anchor, row, column) as the head's output is; boxes are in pixels of the search crop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.anchors import anchors_cxcywh, match
from armory_skelevision.training.data.pair import NO_BOXES
from armory_skelevision.validation import InvalidValueError

MAX_POSITIVES = 16
MAX_NEGATIVES = 48


class Targets(NamedTuple):
    """Targets of one search crop, for k anchors on an S x S response."""

    labels: NDArray[np.int64]
    """(k, S, S) int64: 1 target, 0 background, -1 ignored by the loss."""
    deltas: NDArray[np.float32]
    """(4, k, S, S) float32: the offsets from each anchor to the target's box."""
    weights: NDArray[np.float32]
    """(k, S, S) float32: 1 / number of positives at the positive anchors, else 0."""
    background: NDArray[np.bool_]
    """(k, S, S) bool: all anchors that are background, ignored ones included."""


class TargetMaker:
    """Makes targets for search crops of one size.

    Args:
        search_side: Side of the search crop in pixels; the response has S = (side - 127) / 8 + 1 rows and columns.
        base_size: How much larger S is; see `networks.AnchorNetwork`.
    """

    def __init__(self, search_side: int = 255, base_size: int = 0) -> None:
        score_size = (search_side - 127) // 8 + 1 + base_size
        self._middle = search_side / 2
        self._shape = (-1, score_size, score_size)
        self._anchors_cxcywh = anchors_cxcywh(score_size).double()

    def make(
        self,
        box_xyxy: NDArray[np.floating],
        rng: np.random.Generator,
        is_positive: bool = True,
        distractors_xyxy: NDArray[np.floating] = NO_BOXES,
    ) -> Targets:
        """Label the anchors and draw those that the loss uses.

        Args:
            box_xyxy: (4,) the target in the search crop, in pixel edges.
            rng: Draws at most 16 positives and 48 negatives.
            is_positive: Whether the box is the target's. Otherwise the anchors that match it are background too.
            distractors_xyxy: (n, 4) boxes of distractors: anchors that match one of them, and not the target, are
                background even where they overlap with the target.

        Raises:
            InvalidValueError: If the box is not finite or has no area.
        """
        box = np.asarray(box_xyxy, np.float64) - self._middle
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            raise InvalidValueError("box_xyxy", "a finite box with x1 < x2 and y1 < y2", str(box_xyxy))
        target, background, offsets = self._match(box)
        if not is_positive:
            target, background = np.zeros_like(target), target | background
        for distractor in np.asarray(distractors_xyxy, np.float64) - self._middle:
            background = background | (self._match(distractor)[0] & ~target)
        labels = np.full(target.shape, -1, np.int64)
        positive = _draw(np.flatnonzero(target), MAX_POSITIVES, rng)
        labels[positive] = 1
        labels[_draw(np.flatnonzero(background), MAX_NEGATIVES, rng)] = 0
        weights = np.where(labels == 1, 1 / max(len(positive), 1), 0).astype(np.float32)
        return Targets(
            labels.reshape(self._shape),
            offsets.reshape(4, *self._shape).astype(np.float32),
            weights.reshape(self._shape),
            background.reshape(self._shape),
        )

    def _match(self, box_xyxy: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
        found = match(xyxy_to_cxcywh(torch.from_numpy(box_xyxy)), self._anchors_cxcywh)
        return tuple(values.numpy() for values in found)


def add_hard_negatives(labels: Tensor, cls: Tensor, background: Tensor, count: int) -> Tensor:
    """Labels with further background anchors: those with the highest scores for the target (hard negative mining).

    Args:
        labels: (N, k, S, S) int64, see `Targets`.
        cls: (N, 2k, S, S) logits, channels ordered (class, anchor).
        background: (N, k, S, S) bool, see `Targets`.
        count: How many to add per pair.
    """
    if count == 0:
        return labels
    logits = cls.detach().float().reshape(len(cls), 2, -1)
    flat = labels.flatten(1).clone()
    free = background.flatten(1) & (flat == -1)
    score = torch.where(free, logits[:, 1] - logits[:, 0], -torch.inf)
    value, index = score.topk(min(count, score.shape[1]), dim=1)
    flat.scatter_(1, index, torch.where(value > -torch.inf, 0, flat.gather(1, index)))
    return flat.reshape(labels.shape)


def mean_iou(output: RPNOutput, box_xyxy: Tensor, base_size: int = 0) -> Tensor:
    """Mean IoU, a scalar, of the targets' boxes (N, 4), in search-crop pixels, with the `best_boxes` of the output."""
    return iou(best_boxes(output, base_size), box_xyxy).mean()


def best_boxes(output: RPNOutput, base_size: int = 0) -> Tensor:
    """The boxes (N, 4) xyxy, in search-crop pixels, of the anchors that have the highest score of each pair.

    Args:
        output: ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S).
        base_size: That of the network; see `networks.AnchorNetwork`.
    """
    count, score_size = len(output.cls), output.cls.shape[-1]
    middle = (127 + 8 * (score_size - 1 - base_size)) / 2
    scores = output.cls.float().reshape(count, 2, -1)
    best = (scores[:, 1] - scores[:, 0]).argmax(dim=1)
    rows = torch.arange(count, device=best.device)
    delta = output.loc.float().reshape(count, 4, -1)[rows, :, best]
    anchor = anchors_cxcywh(score_size).to(best.device)[best]
    centre = delta[:, :2] * anchor[:, 2:] + anchor[:, :2] + middle
    return cxcywh_to_xyxy(torch.cat([centre, delta[:, 2:].exp() * anchor[:, 2:]], dim=1))


def _draw(candidates: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return candidates if len(candidates) <= most else rng.choice(candidates, most, replace=False)
