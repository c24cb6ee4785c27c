"""The points of SiamFC++: each predicts a score, the quality of its box, and the distances to the target's sides.

Xu et al., "SiamFC++", 2020, section 3; arithmetic and labels as in video_analyst (MIT,
github.com/MegviiDetection/video_analyst), whose boxes include the pixels at both ends, so that a width is one pixel
more than the distances of its sides.

Convention: boxes and points in pixels of the search crop, measured from its middle pixel, points row by row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.points import distances
from armory_skelevision.tracking.proposals import Proposals

STRIDE = 8


class PointTargets(NamedTuple):
    """What a network should find at K points for each of N boxes."""

    inside: Tensor
    """Points inside of the box, (N, K) bool."""
    distances: Tensor
    """From each point to the left, top, right and bottom side, (N, 4, K)."""
    quality: Tensor
    """Prior spatial score, (N, K): 1 in the middle of the box, 0 at its sides and outside (Eq. 10 of the text on
    template adaptation, in which the second factor has to be min(t, b) / max(t, b))."""


def decode(output: RPNOutput, points_xy: Tensor) -> Proposals:
    """The K = S * S proposals in the head's output for each of N search crops, in their pixels.

    Args:
        output: ``cls`` (N, 2, S, S), the logits of target and quality, whose probabilities are multiplied, and as
            ``loc`` (N, 4, S, S) the logarithms of the distances in pixels to the target's sides.
        points_xy: (K, 2) as `points.points_xy`.
    """
    to_left_top, to_right_bottom = distances(output).chunk(2, dim=1)
    centres = points_xy.T + (to_right_bottom - to_left_top) / 2
    sizes = to_left_top + to_right_bottom + 1
    return Proposals(output.cls.flatten(2).sigmoid().prod(dim=1), torch.cat([centres, sizes], dim=1).mT)


def match(boxes_cxcywh: Tensor, points_xy: Tensor) -> PointTargets:
    """The targets of boxes (N, 4) at points (K, 2)."""
    centres, reach = boxes_cxcywh[:, :2, None], (boxes_cxcywh[:, 2:, None] - 1) / 2
    offsets = points_xy.T - centres
    to_left_top, to_right_bottom = reach + offsets, reach - offsets
    inside = ((to_left_top > 0) & (to_right_bottom > 0)).all(dim=1)
    near, far = torch.minimum(to_left_top, to_right_bottom), torch.maximum(to_left_top, to_right_bottom)
    quality = (near.clamp(min=0).prod(dim=1) / far.prod(dim=1).clamp(min=1e-5)).sqrt()
    return PointTargets(inside, torch.cat([to_left_top, to_right_bottom], dim=1), torch.where(inside, quality, 0))
