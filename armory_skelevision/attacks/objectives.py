"""Objectives of attacks on trackers: a scalar for a tracked video, which the attacker maximises.

Convention: sums over frames, so that each frame has the same weight however long the video is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from armory_skelevision.attacks.proposal_losses import expected_giou, expected_l1, rank_margin, score_margin
from armory_skelevision.boxes import cxcywh_to_xyxy, giou, has_area, xyxy_to_cxcywh
from armory_skelevision.tracking import Step, TrackerSettings
from armory_skelevision.validation import InvalidValueError, Range, Settings

Loss = Literal["l1", "expected_l1", "giou", "expected_giou", "score", "rank_margin", "targeted"]
Shift = Annotated[float, Range(-100, 100)]
Pixels = Annotated[float, Range(-100_000, 100_000)]
Objective = Callable[[Tensor, Sequence[Step] | None], Tensor]
"""Maps the tracked boxes (F, 4), xyxy in pixels, and the tracker's steps (None where not known) to a scalar."""

# The losses that see the tracker's proposals, and not only the boxes that it chose.
PROPOSAL_LOSSES = {
    "expected_l1": expected_l1,
    "expected_giou": expected_giou,
    "score": score_margin,
    "rank_margin": rank_margin,
}


@dataclass(frozen=True)
class TargetBox(Settings):
    """The box that the loss "targeted" pulls the tracker to (after the goals of Wiyatno and Xu 2019, section 3.2).

    Attributes:
        shift: Offset from the true box, in widths and heights of the true box: (1, 0) is next to it on the right.
        scale: Factor on the true box's width and height: below 1 shrinks the box, above 1 enlarges it.
        box_xyxy: A fixed box in pixels of the frame, in place of one relative to the true box.
    """

    shift: tuple[Shift, Shift] = (0.0, 0.0)
    scale: Annotated[float, Range(0, 100, without_low=True)] = 1.0
    box_xyxy: tuple[Pixels, Pixels, Pixels, Pixels] | None = None

    def check(self) -> None:
        """Check that the target is not the true box itself, and that a fixed one has an area (`InvalidValueError`)."""
        if self.box_xyxy is not None and not (
            self.box_xyxy[0] < self.box_xyxy[2] and self.box_xyxy[1] < self.box_xyxy[3]
        ):
            raise InvalidValueError("box_xyxy", "a box with x1 < x2 and y1 < y2", str(list(self.box_xyxy)))
        if self.box_xyxy is None and self.scale == 1 and not any(self.shift):
            raise InvalidValueError("shift", "a target other than the true box", "none", "set shift, scale or box_xyxy")

    def boxes_xyxy(self, truth_xyxy: Tensor) -> Tensor:
        """The target boxes (F, 4) for the true boxes (F, 4), in pixels."""
        if self.box_xyxy is not None:
            return truth_xyxy.new_tensor(self.box_xyxy).expand_as(truth_xyxy)
        truth_cxcywh = xyxy_to_cxcywh(truth_xyxy)
        centre, size = truth_cxcywh[:, :2], truth_cxcywh[:, 2:]
        shift = size.new_tensor(self.shift)
        return cxcywh_to_xyxy(torch.cat([centre + shift * size, size * self.scale], dim=1))


def make_objective(
    loss: Loss, truth_xyxy: Tensor, target_box: TargetBox | None, settings: TrackerSettings | None
) -> Objective:
    """The objective of a loss against the true boxes.

    Args:
        loss: "l1" is the sum of absolute box errors (SkeleVision, Eq. 3), "giou" one minus the generalised IoU;
            "expected_l1" and "expected_giou" are their expectations if the tracker chose among all proposals at random,
            by their scores; "score" lowers the target's score; "rank_margin" puts the best proposal away from the
            target ahead of the best one on it; "targeted" pulls the box to ``target_box``.
        truth_xyxy: True boxes (F, 4), pixels; frames whose box has no area do not count.
        target_box: Required by "targeted", and by it alone.
        settings: Constants of the tracker, for the losses of its proposals; None for a third-party tracker.

    Raises:
        InvalidValueError: For "targeted" without a target box, a target box with another loss, or a loss of
            proposals on a third-party tracker.
    """
    if loss == "targeted" and target_box is None:
        raise InvalidValueError("target_box", "one for loss 'targeted'", "none", "set shift, scale or box_xyxy")
    if loss != "targeted" and target_box is not None:
        raise InvalidValueError("target_box", f"none with loss {loss!r}", "one", "use loss 'targeted', or leave it out")
    if loss in PROPOSAL_LOSSES:
        if settings is None:
            fix = "this loss needs the proposals of our own trackers"
            raise InvalidValueError("loss", "'l1', 'giou' or 'targeted'", repr(loss), fix)
        return sum_frames(PROPOSAL_LOSSES[loss], truth_xyxy, settings)
    there = has_area(truth_xyxy)
    truth_xyxy = truth_xyxy[there]
    if target_box is not None:
        target_xyxy = target_box.boxes_xyxy(truth_xyxy)
        return lambda boxes_xyxy, _: -(boxes_xyxy[there] - target_xyxy.to(boxes_xyxy)).abs().sum()
    if loss == "giou":
        return lambda boxes_xyxy, _: (1 - giou(boxes_xyxy[there], truth_xyxy.to(boxes_xyxy))).sum()
    return lambda boxes_xyxy, _: (boxes_xyxy[there] - truth_xyxy.to(boxes_xyxy)).abs().sum()


def sum_frames(
    loss: Callable[[Step, Tensor, TrackerSettings], Tensor], boxes_xyxy: Tensor, settings: TrackerSettings
) -> Objective:
    """The sum of a loss of the frames whose box, of (F, 4) in pixels, has an area; see `proposal_losses`."""
    there = has_area(boxes_xyxy).tolist()

    def sum_steps(_: Tensor, steps: Sequence[Step] | None) -> Tensor:
        if steps is None:
            raise TypeError("this objective needs the tracker's steps")
        frames = zip(steps, boxes_xyxy, there, strict=True)
        losses = [loss(step, box_xyxy, settings) for step, box_xyxy, counts in frames if counts]
        return torch.stack(losses).sum()

    return sum_steps
