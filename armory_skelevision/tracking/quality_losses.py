"""The training loss of SiamFC++: focal loss, quality and IoU at the points of a search crop. Pure functions.

Xu et al., "SiamFC++", 2020, section 3.3, with the reductions and weights of video_analyst
(github.com/MegviiDetection/video_analyst, MIT). Template adaptation lowers the same sum (its Eq. 8, which leaves the
weights open).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.points import distances, points_xy
from armory_skelevision.tracking.quality_points import STRIDE, PointTargets, match

# Weights of the three parts, and constants of the focal loss (Lin et al. 2017).
CLASSIFICATION_WEIGHT = 1.0
QUALITY_WEIGHT = 1.0
IOU_WEIGHT = 3.0
ALPHA, GAMMA = 0.25, 2.0


def point_loss(output: RPNOutput, boxes_cxcywh: Tensor, present: Tensor | None = None) -> Tensor:
    """The weighted sum of the three losses.

    Args:
        output: Of N search crops: ``cls`` (N, 2, S, S) and ``loc`` (N, 4, S, S).
        boxes_cxcywh: The targets (N, 4), in pixels of the crops, measured from their middle.
        present: Whether a crop shows its target, (N,) bool; None if all do.

    Returns:
        A scalar of at least 0. The parts are sums over the points of all crops, divided by the number of points inside
        of a target (or 1).
    """
    targets = match(boxes_cxcywh, points_xy(output.cls.shape[-1], STRIDE).to(boxes_cxcywh))
    if present is not None:
        targets = targets._replace(inside=targets.inside & present[:, None])
    cls, quality = output.cls.flatten(2).unbind(dim=1)
    classification = focal_loss(cls, targets.inside)
    parts = (quality_loss(quality, targets), iou_loss(distances(output), targets))
    return CLASSIFICATION_WEIGHT * classification + QUALITY_WEIGHT * parts[0] + IOU_WEIGHT * parts[1]


def focal_loss(logits: Tensor, inside: Tensor) -> Tensor:
    """Cross-entropy in which points that are well classified already count less.

    Args:
        logits: Of the target, (N, K).
        inside: Whether a point belongs to it, (N, K) bool.
    """
    truth = inside.to(logits)
    probability = logits.sigmoid()
    error = torch.where(inside, 1 - probability, probability)
    balance = torch.where(inside, ALPHA, 1 - ALPHA)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (balance * error**GAMMA * entropy).sum() / _count(inside)


def quality_loss(logits: Tensor, targets: PointTargets) -> Tensor:
    """Cross-entropy of the quality's logits (N, K) at points inside, less its least possible value: 0 for the truth."""
    truth = targets.quality[targets.inside]
    found = logits[targets.inside]
    residual = F.binary_cross_entropy(truth, truth, reduction="sum")
    return (F.binary_cross_entropy_with_logits(found, truth, reduction="sum") - residual) / _count(targets.inside)


def iou_loss(found: Tensor, targets: PointTargets) -> Tensor:
    """Minus the logarithm of the IoU of the boxes with predicted distances (N, 4, K), at points inside."""
    sides = (torch.minimum(found, targets.distances), found, targets.distances)
    common, area, true_area = ((each[:, :2] + each[:, 2:] + 1).prod(dim=1)[targets.inside] for each in sides)
    overlap = common / (area + true_area - common)
    return -overlap.log().sum() / _count(targets.inside)


def _count(inside: Tensor) -> Tensor:
    return inside.sum().clamp(min=1)
