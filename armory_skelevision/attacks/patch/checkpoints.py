"""What a patch attack would have come to, had it ended earlier: a curve over steps from one run.

Up to step k an attack of k steps and a longer one do the same, unless the size of a step depends on how many there are
to be. So of every checkpoint the patch is kept that the shorter attack would have kept, and the tracker is run on it as
an evaluation does. Inside an ARMORY run the result file gets, under `RESULT`, one ``{steps: mean IoU}`` per video.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from armory_skelevision.attacks.interface import stack_videos
from armory_skelevision.attacks.optimizer import Schedule, Summit
from armory_skelevision.attacks.patch.scene import Scene
from armory_skelevision.boxes import iou
from armory_skelevision.models.inputs import check_whole

RESULT = "adversarial_checkpoints"
"""The key in ARMORY's results."""

END = -1
"""Stands for the end of a climb among numbers of steps."""

log = logging.getLogger(__name__)


class Passed:
    """Remembers what would be kept after some numbers of steps of one climb; told by `Ascent.climb`.

    Args:
        wanted: The numbers of steps.
    """

    def __init__(self, wanted: Sequence[int]) -> None:
        self.wanted = wanted
        self._summits: dict[int, Summit] = {}

    def __call__(self, steps: int, summit: Summit) -> None:
        """What is kept after so many steps."""
        if steps in self.wanted:
            self._summits[steps] = summit

    def complete(self, end: Summit) -> dict[int, Summit]:
        """A summit for all wanted steps; a climb that ended early, for want of a gradient, stays where it ended."""
        return {steps: self._summits.get(steps, end) for steps in self.wanted}


def judge(estimator: Any, scene: Scene, patches: Mapping[int, Summit], dtype: np.dtype[Any]) -> dict[int, float]:
    """Mean IoU of a video under each patch, over all frames but the first, as ARMORY would measure it.

    Args:
        estimator: The tracker, with its defenses.
        scene: The video.
        patches: By number of steps.
        dtype: Of the videos that the evaluation hands to the tracker.
    """
    found = {}
    for steps, summit in patches.items():
        video = stack_videos([scene.render(summit.picture)], dtype)
        boxes_xyxy = estimator.predict(video, y_init=scene.truth_xyxy[:1].numpy())[0]["boxes"]
        overlaps = iou(torch.as_tensor(boxes_xyxy).double(), scene.truth_xyxy.double())
        found[steps] = float(overlaps[1:].mean())
    return found


def check_checkpoints(checkpoints: Any, max_iter: int, schedule: Schedule) -> None:
    """Refuse checkpoints that are no different numbers of steps, or that a schedule makes meaningless (ValueError)."""
    for steps in checkpoints if isinstance(checkpoints, list | tuple) else []:
        check_whole("checkpoints", steps, 0)
    if not isinstance(checkpoints, list | tuple) or len(set(checkpoints)) < len(checkpoints):
        raise ValueError(f"checkpoints: expected a list of different numbers of steps, got {checkpoints!r}")
    if checkpoints and schedule != "constant":
        raise ValueError(
            f"checkpoints: with schedule {schedule!r} each step's size depends on max_iter, so a run of fewer steps is "
            "no part of a longer one; use schedule 'constant', or a run for each number of steps"
        )
    beyond = sorted(steps for steps in checkpoints if steps > max_iter)
    if beyond:  # no error: `armory run --check` sets max_iter to 1
        log.warning("checkpoints %s are not reached with max_iter %d: nothing is recorded for them", beyond, max_iter)
