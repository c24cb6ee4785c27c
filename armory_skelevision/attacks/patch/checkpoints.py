"""Mean IoU after several numbers of iterations, from a single run of the patch attack.

The patch that is kept so far is recorded at each checkpoint, and the tracker is evaluated on it. Up to step k a
`PatchAttack` of k steps and a longer one are identical, unless the step size depends on the number of steps, as
that of `AutoPatch` always does.
Inside an ARMORY run the result file gets one ``{steps: mean IoU}`` per video under `RESULT`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from armory_skelevision.attacks.interface import record_result, stack_videos
from armory_skelevision.attacks.optimizer import BestIterate, Schedule
from armory_skelevision.attacks.patch.scene import PatchScene
from armory_skelevision.boxes import iou
from armory_skelevision.validation import InvalidValueError

RESULT = "adversarial_checkpoints"
"""The key in ARMORY's results."""

log = logging.getLogger(__name__)


def record_mean_iou(
    estimator: Any, scene: PatchScene, patches: Mapping[int, BestIterate], dtype: np.dtype[Any]
) -> dict[int, float]:
    """Record the mean IoU of a video under each patch, over all frames but the first, as ARMORY measures it.

    The patches (h, w, 3), RGB in [0, 1], are given by number of steps. ``dtype`` is that of the videos that the
    evaluation passes to the tracker.

    Returns:
        Values in [0, 1] by number of steps, which an ARMORY run also writes to its result file.
    """
    mean_iou = {}
    for step, patch in patches.items():
        video = stack_videos([scene.render(patch.image)], dtype)
        boxes_xyxy = estimator.predict(video, y_init=scene.truth_xyxy[:1].numpy())[0]["boxes"]
        if not np.isfinite(np.asarray(boxes_xyxy)).all():
            raise InvalidValueError("estimator", "finite boxes", f"NaN or infinity under the patch of {step} steps")
        overlaps = iou(torch.as_tensor(boxes_xyxy).double(), scene.truth_xyxy.double())
        mean_iou[step] = float(overlaps[1:].mean())
    record_result(RESULT, mean_iou)
    return mean_iou


def check_checkpoints(checkpoints: Sequence[int], steps: int, schedule: Schedule = "constant") -> None:
    """Check that checkpoints differ and are compatible with the schedule (`InvalidValueError`).

    Warns, through logging, of those beyond the attack's number of steps: `armory run --check` sets ``max_iter`` to 1.
    """
    if len(set(checkpoints)) < len(checkpoints):
        raise InvalidValueError("checkpoints", "different numbers of steps", repr(checkpoints))
    if checkpoints and schedule != "constant":
        expected = f"none with schedule {schedule!r}, whose step sizes depend on max_iter"
        fix = "use schedule 'constant', or a run for each number of steps"
        raise InvalidValueError("checkpoints", expected, repr(checkpoints), fix)
    beyond = sorted(count for count in checkpoints if count > steps)
    if beyond:
        log.warning("checkpoints %s are beyond the last step, %d: nothing is recorded for them", beyond, steps)
