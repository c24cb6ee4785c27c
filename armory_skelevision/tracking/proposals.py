"""Proposals in one search crop, the same for every kind of head."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

# exp of more than this exceeds any frame; without a bound an extreme network output would end in inf/inf = NaN.
MAX_LOG_SCALE = 10.0


class Proposals(NamedTuple):
    """One box for each of K anchors or points of the response map, of one search crop or of N."""

    scores: Tensor
    """Probability of the target, (K,) or (N, K)."""
    boxes_cxcywh: Tensor
    """Boxes in pixels of the search crop, measured from its centre, (K, 4) or (N, K, 4)."""

    def of(self, crop: int) -> Proposals:
        """Those of one of N search crops."""
        return Proposals(self.scores[crop], self.boxes_cxcywh[crop])

    def at(self, chosen: int | Tensor) -> Proposals:
        """The chosen one: the scalar score and the box (4,); of N search crops, by indices (N,), (N,) and (N, 4)."""
        if self.scores.ndim == 1:
            return Proposals(self.scores[chosen], self.boxes_cxcywh[chosen])
        crops = torch.arange(len(self.scores))
        return Proposals(self.scores[crops, chosen], self.boxes_cxcywh[crops, chosen])


def target_probability(cls: Tensor) -> Tensor:
    """Probability of the target, (N, K), from the logits of background and target, (N, 2k, S, S), K = k * S * S."""
    return cls.reshape(len(cls), 2, -1).softmax(dim=1)[:, 1]


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def cosine_window(score_size: int, per_position: int) -> Tensor:
    """Weight of each proposal by the distance of its position from the crop's centre, in [0, 1].

    The outer product of two Hann windows of side S, for each of the ``per_position`` proposals: (k * S * S,), float64.
    It is the same tensor in each call, not to be changed.
    """
    hann = torch.hann_window(score_size, periodic=False, dtype=torch.float64)
    return torch.outer(hann, hann).flatten().repeat(per_position)
