"""FlyTrap's objective on a static screen, as a baseline.

The loss of the published code (ASGuard-UCI/FlyTrap, flytrap/attacks/loss.py): the 40 proposals of the highest raw
scores are pulled to a box on the screen, and their scores to .8. Raw scores give a gradient to boxes that the cosine
window still keeps from winning. Distances are in units of the search crop's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.gradients import TrackerGradient
from armory_skelevision.attacks.objectives import Objective, sum_frames
from armory_skelevision.attacks.optimizer import BestIterate
from armory_skelevision.attacks.patch import PatchScene
from armory_skelevision.attacks.proposal_losses import box_in_crop
from armory_skelevision.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from armory_skelevision.tracking import Step, TrackerSettings

TOP = 40
HIGH_SCORE = 0.8
BOX_WEIGHT, SCORE_WEIGHT = 10.0, 0.01


class FlyTrap(PatchAttack):
    """`PatchAttack` with FlyTrap's objective, for one video at a time."""

    def run(self, scenes: Sequence[PatchScene]) -> dict[int, BestIterate]:
        """See `PatchAttack.run`."""
        self._wanted_xyxy = boxes_on_screen(scenes[0])
        return super().run(scenes)

    def _make_video_objective(self, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
        if tracker.settings is None or not hasattr(self, "_wanted_xyxy"):
            return super()._make_video_objective(tracker, truth_xyxy)
        return sum_frames(top_k_alignment, self._wanted_xyxy, tracker.settings)


def top_k_alignment(step: Step, wanted_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """How close the best proposals are to a box (4,), in pixels of the frame, and their scores to `HIGH_SCORE`."""
    scores, best = step.proposals.scores.double().topk(min(TOP, len(step.proposals.scores)))
    distance = step.proposals.boxes_cxcywh[best].double() - box_in_crop(step, wanted_xyxy, settings)
    entropy = F.binary_cross_entropy(scores, torch.full_like(scores, HIGH_SCORE))
    return -(BOX_WEIGHT * distance.abs().sum(dim=1).mean() / settings.instance_size + SCORE_WEIGHT * entropy)


def boxes_on_screen(scene: PatchScene) -> Tensor:
    """A box of the target's size in the middle of the visible screen, (F, 4); the true box where there is none."""
    return torch.stack(list(map(partial(_box_on_screen, scene), range(len(scene.views)))))


def _box_on_screen(scene: PatchScene, index: int) -> Tensor:
    view, truth_xyxy = scene.views[index], scene.truth_xyxy[index]
    if view is None:
        return truth_xyxy
    rows, columns = np.nonzero(view.mask[view.region])
    middle_xy = [float(columns.mean()) + view.region[1].start, float(rows.mean()) + view.region[0].start]
    return cxcywh_to_xyxy(torch.cat([torch.tensor(middle_xy).to(truth_xyxy), xyxy_to_cxcywh(truth_xyxy)[2:]]))
