"""Losses of one tracked frame that see all proposals, and not only the chosen one; the attacker maximises them.

The tracker's choice is an argmax without a gradient: a loss of the chosen box can bend that box, but cannot favour the
choice of another.
"""

from __future__ import annotations

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, giou, iou, xyxy_to_cxcywh
from armory_skelevision.tracking import Step, TrackerSettings, TrackerState
from armory_skelevision.tracking.tracker import crop_scale, penalized_scores

# IoU with the target from which on a proposal would keep the tracker on it.
COVERING = 0.5
# Logit margin below which a proposal cannot win; lowering it further would only take weight from other frames.
LOST_MARGIN = -5.0
# Of the softmax over penalised scores, which lie near [0, 1].
TEMPERATURE = 0.05
# Of the smooth maxima in the rank margin: warmer, so that many proposals are moved and not the best ones alone.
MARGIN_TEMPERATURE = 0.12
# IoU with the target below which a proposal leads away from it, and from which on it keeps to it.
AWAY, NEAR = 0.2, 0.4
# Margin of penalised scores from which on a frame is won.
WON_MARGIN = 0.1


def expected_l1(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """The mean error of all proposals against the box (4,), weighted by `_chances`: absolute differences, summed."""
    found_xyxy = _found_xyxy(step, settings)
    return _chances(step, settings) @ (found_xyxy - truth_xyxy).abs().sum(dim=1)


def expected_giou(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """One minus the mean generalised IoU of all proposals with the box (4,), weighted by `_chances`."""
    found_xyxy = _found_xyxy(step, settings)
    return 1 - _chances(step, settings) @ giou(found_xyxy, truth_xyxy.to(found_xyxy))


def score_margin(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """Minus the mean logit margin, target over background, of the proposals that cover the box (4,)."""
    covering = _overlaps(step, truth_xyxy, settings) >= COVERING
    margins = torch.logit(step.proposals.scores[covering].double(), eps=1e-7).clamp(min=LOST_MARGIN)
    # Where no proposal covers the target, the frame counts like one whose proposals are all below the margin.
    return -margins.mean() if covering.any() else _zero(step) - LOST_MARGIN


def rank_margin(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """How far the best proposal away from the box (4,) is ahead of the best one on it, by penalised scores.

    Both are smooth maxima. The margin ends at `WON_MARGIN`, so that frames that are won leave the others their weight.
    """
    state = TrackerState(step.previous.box_cxcywh.detach())
    ranks = penalized_scores(state, step.proposals, settings)
    overlap = _overlaps(step, truth_xyxy, settings)
    away, near = (
        MARGIN_TEMPERATURE * (ranks[chosen] / MARGIN_TEMPERATURE).logsumexp(dim=0) if chosen.any() else _zero(step)
        for chosen in (overlap < AWAY, overlap >= NEAR)
    )
    return (away - near).clamp(max=WON_MARGIN)


def box_in_crop(step: Step, box_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """A box (4,) in pixels of the frame as the proposals have theirs: cxcywh in pixels of the search crop."""
    previous = step.previous.box_cxcywh.detach()
    box_cxcywh = xyxy_to_cxcywh(box_xyxy)
    return torch.cat([box_cxcywh[:2] - previous[:2], box_cxcywh[2:]]) * crop_scale(TrackerState(previous), settings)


def _chances(step: Step, settings: TrackerSettings) -> Tensor:
    """How likely each proposal would be chosen if the choice were a softmax over penalised scores: (K,)."""
    return (penalized_scores(step.previous, step.proposals, settings) / TEMPERATURE).softmax(dim=0)


def _found_xyxy(step: Step, settings: TrackerSettings) -> Tensor:
    """All proposals in pixels of the frame: (K, 4)."""
    previous = step.previous.box_cxcywh
    found_cxcywh = step.proposals.boxes_cxcywh.to(previous) / crop_scale(step.previous, settings)
    return cxcywh_to_xyxy(torch.cat([previous[:2] + found_cxcywh[:, :2], found_cxcywh[:, 2:]], dim=1))


def _overlaps(step: Step, box_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """IoU of all proposals with a box (4,) in pixels of the frame: (K,), a constant."""
    proposals_xyxy = cxcywh_to_xyxy(step.proposals.boxes_cxcywh.detach())
    return iou(proposals_xyxy, cxcywh_to_xyxy(box_in_crop(step, box_xyxy, settings)))


def _zero(step: Step) -> Tensor:
    """0 with a graph, for frames that have nothing to change."""
    return step.proposals.scores.sum().double() * 0
