"""The points of an anchor-free head: each position of the response map predicts the distances to the target's sides.

After SiamBAN (Chen et al. 2020, section 3.2); the grid is that of NanoTrack (github.com/HonglinChu/SiamTrackers,
Apache 2.0).

Convention: points in pixels of the search crop, measured from its centre, row by row.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.proposals import MAX_LOG_SCALE, Proposals, target_probability

STRIDE = 16


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def points_xy(score_size: int, stride: int = STRIDE) -> Tensor:
    """All points of a ``score_size`` x ``score_size`` response: (score_size**2, 2), pixels of the search crop.

    They are the same tensor in each call, not to be changed.
    """
    steps = (torch.arange(score_size, dtype=torch.float32) - score_size // 2) * stride
    return torch.cartesian_prod(steps, steps).flip(1)


def distances(output: RPNOutput) -> Tensor:
    """The predicted distances in pixels to the target's sides, (N, 4, K), from their logarithms, (N, 4, S, S)."""
    return output.loc.flatten(2).clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp()


def decode(output: RPNOutput, points_xy: Tensor) -> Proposals:
    """The K = S * S proposals in the head's output for each of N search crops, in their pixels.

    Args:
        output: ``cls`` (N, 2, S, S), and as ``loc`` (N, 4, S, S) the logarithms of the distances in pixels from the
            point to the left, top, right and bottom side of the target.
        points_xy: (K, 2) as `points_xy`.
    """
    to_left_top, to_right_bottom = distances(output).chunk(2, dim=1)
    centres = points_xy.T + (to_right_bottom - to_left_top) / 2
    sides = torch.cat([centres, to_left_top + to_right_bottom], dim=1)
    return Proposals(target_probability(output.cls), sides.mT)
