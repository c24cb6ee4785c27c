"""Anchor boxes of SiamRPN (Li et al. 2018, section 4; values as in PySOT).

Convention: boxes in pixels of the search crop, measured from the crop's centre. Anchors are listed ratio by ratio, each
over the response map row by row, so that index ``a * S * S + y * S + x`` matches `decode`'s flattening of the heads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, iou
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.points import points_xy
from armory_skelevision.tracking.proposals import MAX_LOG_SCALE, Proposals, target_probability

STRIDE = 8
# Width and height of the anchors of ratios (height / width) 0.33, 0.5, 1, 2 and 3, with PySOT's rounding.
SIZES_WH = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))
# An anchor is the target above the first IoU, and background below the second (section 3.3).
POSITIVE_IOU = 0.6
NEGATIVE_IOU = 0.3


class Match(NamedTuple):
    """The assignment of K anchors to a box."""

    target: Tensor
    """Anchors that count as the target, (K,) bool."""
    background: Tensor
    """Anchors that count as background, (K,) bool; the rest is neither."""
    offsets: Tensor
    """From each anchor to the box, (4, K); see `encode`."""


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def anchors_cxcywh(score_size: int) -> Tensor:
    """All anchors of a ``score_size`` x ``score_size`` response: (5 * score_size**2, 4), pixels of the search crop.

    They are the same tensor in each call, not to be changed.
    """
    centres_xy, sizes_wh = points_xy(score_size, STRIDE), torch.tensor(SIZES_WH)
    repeated = centres_xy.repeat(len(sizes_wh), 1), sizes_wh.repeat_interleave(len(centres_xy), dim=0)
    return torch.cat(repeated, dim=1)


def encode(box_cxcywh: Tensor, anchors_cxcywh: Tensor) -> Tensor:
    """The regression targets of a box (4,), not empty, at anchors (K, 4): the inverse of `decode` (Eq. 3).

    Returns:
        Offsets (4, K): of the centre in anchor sizes, and the logarithms of the ratios of width and height.
    """
    centres = (box_cxcywh[:2] - anchors_cxcywh[:, :2]) / anchors_cxcywh[:, 2:]
    return torch.cat([centres, (box_cxcywh[2:] / anchors_cxcywh[:, 2:]).log()], dim=1).T


def match(box_cxcywh: Tensor, anchors_cxcywh: Tensor) -> Match:
    """Assign anchors (K, 4) to a box (4,), not empty, by their IoU, in the same coordinates (section 3.3)."""
    overlap = iou(cxcywh_to_xyxy(anchors_cxcywh), cxcywh_to_xyxy(box_cxcywh))
    return Match(overlap > POSITIVE_IOU, overlap < NEGATIVE_IOU, encode(box_cxcywh, anchors_cxcywh))


def decode(output: RPNOutput, anchors: Tensor) -> Proposals:
    """The K = k * S * S proposals in the heads' output for each of N search crops, in their pixels.

    Args:
        output: ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S).
        anchors: (K, 4) as `anchors_cxcywh`.
    """
    delta = output.loc.reshape(len(output.loc), 4, -1)
    centres = delta[:, :2] * anchors[:, 2:].T + anchors[:, :2].T
    sizes = delta[:, 2:].clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() * anchors[:, 2:].T
    return Proposals(target_probability(output.cls), torch.cat([centres, sizes], dim=1).mT)
