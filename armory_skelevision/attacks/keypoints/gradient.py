"""FGSM and IGSM on the keypoints: one step, or many small ones, along the sign of the keypoint loss's gradient.

Jain et al., "On the Robustness of Human Pose Estimation", 2019, section 2: FGSM-U/T and IGSM-U/T-N. The steps are ART's
own. The paper states no step size; here N steps can go 2.5 times as far as the bound, as Madry et al. 2018 advise.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import stack_videos
from armory_skelevision.attacks.keypoints.goals import Goal, aim, check_goal
from armory_skelevision.attacks.keypoints.persons import read_persons
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, check_pose_tracker
from armory_skelevision.models.inputs import check_flag, check_positive, check_whole

REACH = 2.5
"""How far all steps together can go, in bounds."""


class KeypointIGSM(EvasionAttack):  # type: ignore[misc]
    """A small perturbation of frame 0 by which the tracker sees the person's keypoints elsewhere (IGSM-U-N, IGSM-T-N).

    Only the frame that the template is cut from is changed. The gradient is that of the keypoint head's training loss,
    through all preprocessors.

    Args:
        estimator: A tracker of ours with a keypoint head.
        eps_255: Largest change of a colour, in units of 1/255.
        max_iter: Number of steps.
        step_255: Each step, in units of 1/255; None for ``2.5 * eps_255 / max_iter``, at most ``eps_255``.
        goal: The pose that shall be seen (targeted): "upside_down", or 17 pairs [x, y] in widths and heights of the
            box. None only leads away from the true pose (untargeted).
        verbose: Show a progress bar (on terminals).

    Raises:
        ValueError: For a setting out of range, or a tracker without a keypoint head.
    """

    attack_params = [*EvasionAttack.attack_params, "eps_255", "max_iter", "step_255", "goal", "verbose"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        eps_255: float = 8,
        max_iter: int = 10,
        step_255: float | None = None,
        goal: Goal | None = None,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps_255 = eps_255
        self.max_iter = max_iter
        self.step_255 = step_255
        self.goal = goal
        self.verbose = verbose
        self._check_params()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1]; one frame is enough.
            y: ``[{"boxes": (F, 4), "keypoints": (17, 3)}, …]``: the person's boxes, and the keypoints in frame 0.
            y_patch_metadata: May hold ``keypoints`` (F, 17, 3) in place of the labels.

        Returns:
            The videos with another frame 0, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, naming the video.
        """
        attacked = []
        for video, person in zip(x, read_persons(x, y, y_patch_metadata, kwargs), strict=True):
            pose = PoseEstimator(self.estimator, person.box_xyxy[None])
            wanted = person.keypoints if self.goal is None else aim(self.goal, person.keypoints, person.box_xyxy)
            changed = np.array(video)
            changed[:1] = self.perturb(pose, changed[:1].astype(np.float32), wanted[None])
            attacked.append(changed)
        return stack_videos(attacked, x.dtype)

    def perturb(self, pose: PoseEstimator, pictures: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W, 3), in which keypoints (N, 17, 3) shall not be seen any more, or shall be with a goal."""
        algorithm = self._algorithm(pose, len(pictures))
        # ART projects after it clips, which may leave the range by the last bit.
        return np.asarray(algorithm.generate(x=pictures, y=keypoints).clip(0, 1))

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        step_255 = self.step_255 or min(REACH * self.eps_255 / self.max_iter, self.eps_255)
        return ProjectedGradientDescentNumpy(
            pose,
            eps=self.eps_255 / 255,
            eps_step=step_255 / 255,
            max_iter=self.max_iter,
            targeted=self.goal is not None,
            batch_size=count,
            verbose=self.verbose and sys.stderr.isatty(),
        )

    def _check_params(self) -> None:
        super()._check_params()
        check_pose_tracker(self.estimator)
        check_positive("eps_255", self.eps_255)
        check_whole("max_iter", self.max_iter)
        if self.step_255 is not None:
            check_positive("step_255", self.step_255)
        check_goal(self.goal)
        check_flag("verbose", self.verbose)


class KeypointFGSM(KeypointIGSM):
    """One step of full size on the keypoints (FGSM-U, FGSM-T), by ART's `FastGradientMethod`; else as `KeypointIGSM`.

    Args:
        estimator: As there.
        eps_255: Change of each colour, in units of 1/255, less only where it would lie beyond black or white.
        goal: As there.

    Raises:
        ValueError: As there.
    """

    attack_params = [*EvasionAttack.attack_params, "eps_255", "goal"]

    def __init__(self, estimator: Any, eps_255: float = 8, goal: Goal | None = None) -> None:
        super().__init__(estimator, eps_255=eps_255, goal=goal)

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        return FastGradientMethod(pose, eps=self.eps_255 / 255, targeted=self.goal is not None, batch_size=count)
