"""Proposals in one search crop, the same for every kind of head."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

# exp of more than this exceeds any frame; without a bound an extreme network output would end in inf/inf = NaN.
MAX_LOG_SCALE = 10.0


class Proposals(NamedTuple):
    """One box for each of K anchors or points of the response map."""

    scores: Tensor
    """Probability of the target, (K,)."""
    boxes_cxcywh: Tensor
    """Boxes in pixels of the search crop, measured from its centre, (K, 4)."""


def target_probability(cls: Tensor) -> Tensor:
    """Probability of the target, (K,), from the logits of background and target, (1, 2k, S, S) with K = k * S * S."""
    return cls[0].reshape(2, -1).softmax(dim=0)[1]


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def cosine_window(score_size: int, per_position: int) -> Tensor:
    """Weight of each proposal by the distance of its position from the crop's centre, in [0, 1].

    The outer product of two Hann windows of side S, for each of the ``per_position`` proposals: (k * S * S,), float64.
    It is the same tensor in each call, not to be changed.
    """
    hann = torch.hann_window(score_size, periodic=False, dtype=torch.float64)
    return torch.outer(hann, hann).flatten().repeat(per_position)
