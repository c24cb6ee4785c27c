"""What an attack on a tracker climbs: a number for a tracked video, the higher the better for the attacker.

Convention: sums over frames, so that every frame pulls alike however long the video is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, giou, iou, xyxy_to_cxcywh
from armory_skelevision.models.inputs import refuse_unknown
from armory_skelevision.tracking import Step, TrackerSettings
from armory_skelevision.tracking.state import State
from armory_skelevision.tracking.tracker import crop_scale, penalized_scores

Loss = Literal["l1", "expected", "giou", "score", "lure"]
Objective = Callable[[Tensor, Sequence[Step] | None], Tensor]
"""Boxes (F, 4) xyxy of a tracked video, and the tracker's steps where they are known, to a scalar."""

# Proposals that cover the target at least so much would keep the tracker on it.
COVERING = 0.5
# Logit margin below which a proposal has lost for good; pushing it further would only draw strength from other frames.
LOST_MARGIN = -5.0
# By so much a proposal must outrank another to be e times as likely; ranks lie near [0, 1].
TEMPERATURE = 0.05


@dataclass(frozen=True)
class Goal:
    """Where a "lure" shall pull the tracked box (after the goals of Wiyatno and Xu 2019, section 3.2).

    Attributes:
        shift: How far from the truth, in widths and heights of the true box: (1, 0) is next to it on the right.
        scale: Factor on the true box's width and height: below 1 the box shall shrink, above 1 grow.
        box_xyxy: A fixed place in the frame, in pixels, instead of one that goes along with the truth.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    box_xyxy: tuple[float, float, float, float] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Goal:
        """A goal from a config's mapping.

        Raises:
            ValueError: For an unknown key, or values that are no goal.
        """
        refuse_unknown("goal", values, [field.name for field in fields(cls)])
        given: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}
        goal = cls(**given)
        if goal == cls():
            raise ValueError("goal: the truth itself is no goal; give 'shift', 'scale' or 'box_xyxy'")
        if len(goal.shift) != 2 or not goal.scale > 0 or (goal.box_xyxy and len(goal.box_xyxy) != 4):
            raise ValueError(f"goal: expected shift (x, y), scale above 0 and box_xyxy of four numbers, got {goal}")
        return goal

    def boxes_xyxy(self, truth_xyxy: Tensor) -> Tensor:
        """The boxes (F, 4) wanted for the true ones (F, 4)."""
        if self.box_xyxy is not None:
            return torch.tensor(self.box_xyxy).to(truth_xyxy).expand_as(truth_xyxy)
        truth_cxcywh = xyxy_to_cxcywh(truth_xyxy)
        centre, size = truth_cxcywh[..., :2], truth_cxcywh[..., 2:]
        return cxcywh_to_xyxy(torch.cat([centre + torch.tensor(self.shift).to(size) * size, size * self.scale], dim=-1))


def make_objective(loss: Loss, truth_xyxy: Tensor, goal: Goal | None, settings: TrackerSettings | None) -> Objective:
    """The objective of a loss against the true boxes (F, 4).

    Args:
        loss: "l1" (sum of absolute box errors: SkeleVision, Eq. 3), "expected" (the same, were the choice among the
            proposals left to chance), "giou" (one less generalised IoU), "score" (the target's score driven down) or
            "lure" (closeness to a goal).
        truth_xyxy: True boxes (F, 4), pixels.
        goal: For "lure".
        settings: Of the tracker, for "expected" and "score"; None where its inside is not known.

    Raises:
        ValueError: For "lure" without a goal, "expected" or "score" on another maker's tracker, or a goal for another
            loss.
    """
    if (loss == "lure") != (goal is not None):
        raise ValueError("goal: the loss 'lure' needs one, and no other loss takes one")
    if loss in ("expected", "score"):
        if settings is None:
            raise ValueError(f"loss: {loss!r} looks inside our own tracker; take 'l1', 'giou' or 'lure' for this one")
        rate = _expected_error if loss == "expected" else _lost_margin
        return partial(_sum_steps, rate=rate, truth_xyxy=truth_xyxy, settings=settings)
    if goal is not None:
        wanted_xyxy = goal.boxes_xyxy(truth_xyxy)
        return lambda boxes_xyxy, _: -(boxes_xyxy - wanted_xyxy.to(boxes_xyxy)).abs().sum()
    if loss == "giou":
        return lambda boxes_xyxy, _: (1 - giou(boxes_xyxy, truth_xyxy.to(boxes_xyxy))).sum()
    return lambda boxes_xyxy, _: (boxes_xyxy - truth_xyxy.to(boxes_xyxy)).abs().sum()


def _sum_steps(
    boxes_xyxy: Tensor,
    steps: Sequence[Step] | None,
    rate: Callable[[Step, Tensor, TrackerSettings], Tensor],
    truth_xyxy: Tensor,
    settings: TrackerSettings,
) -> Tensor:
    """The sum over frames of what a step is worth against its true box (4,)."""
    if steps is None:
        raise ValueError("this objective needs the tracker's steps")
    return torch.stack([rate(step, truth, settings) for step, truth in zip(steps, truth_xyxy, strict=True)]).sum()


def _expected_error(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """The mean box error of all proposals, the likelier by far the higher they rank.

    The tracker's own choice is hard and passes no gradient, so that "l1" can bend the chosen box but cannot help
    another to be chosen. Here all that come near pull.
    """
    previous = step.previous.box_cxcywh
    chances = (penalized_scores(step.previous, step.proposals, settings) / TEMPERATURE).softmax(dim=0)
    found_cxcywh = step.proposals.boxes_cxcywh.to(previous) / crop_scale(step.previous, settings)
    found_xyxy = cxcywh_to_xyxy(torch.cat([previous[:2] + found_cxcywh[:, :2], found_cxcywh[:, 2:]], dim=1))
    return chances @ (found_xyxy - truth_xyxy.to(found_xyxy)).abs().sum(dim=1)


def _lost_margin(step: Step, truth_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """Less the mean logit margin, target over background, of the proposals that cover the target."""
    previous = step.previous.box_cxcywh.detach()
    scale = crop_scale(State(previous), settings)
    truth_cxcywh = xyxy_to_cxcywh(truth_xyxy.to(previous))
    in_crop = torch.cat([truth_cxcywh[:2] - previous[:2], truth_cxcywh[2:]]) * scale
    proposals_xyxy = cxcywh_to_xyxy(step.proposals.boxes_cxcywh.detach().to(in_crop))
    covering = iou(proposals_xyxy, cxcywh_to_xyxy(in_crop)) >= COVERING
    margins = torch.logit(step.proposals.scores[covering].double(), eps=1e-7).clamp(min=LOST_MARGIN)
    # A frame in which nothing covers the target is won: it counts like one whose proposals have all lost.
    return -margins.mean() if covering.any() else -step.proposals.scores.sum().double() * 0 - LOST_MARGIN
