"""FGSM and IGSM on the keypoints: one step, or many small ones, along the sign of the keypoint loss's gradient.

Jain et al., "On the Robustness of Human Pose Estimation", 2019, section 2: FGSM-U/T and IGSM-U/T-N. The steps are
ART's own. The paper gives no step size; here N steps can go 2.5 times as far as the bound, as Madry et al. 2018 advise.
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
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, check_pose_tracker
from armory_skelevision.attacks.keypoints.target_pose import TargetPose, check_target_pose, target_keypoints
from armory_skelevision.attacks.keypoints.true_pose import read_true_poses
from armory_skelevision.validation import Count, PositiveFraction, check_arguments

STEPS_OVER_BOUND = 2.5
"""The sum of all step sizes as a multiple of the bound."""


class KeypointIGSM(EvasionAttack):  # type: ignore[misc]
    """A small perturbation of frame 0 that moves the detected keypoints (IGSM-U-N, IGSM-T-N).

    Only frame 0, from which the template is cut, is changed. The gradient is that of the keypoint head's training loss,
    through all preprocessors.

    Args:
        estimator: A SiamRPN tracker with a keypoint head.
        eps: Bound (l∞) of the perturbation, in (0, 1]; colours lie in [0, 1].
        max_iter: Number of steps N.
        eps_step: Size of a step, in (0, 1]; None for ``2.5 * eps / max_iter``, at most ``eps``.
        target_pose: Pose to be detected (targeted): "upside_down", or 17 pairs [x, y] in widths and heights of the
            box. None moves the keypoints away from the true pose (untargeted).
        verbose: Show a progress bar (on terminals).

    Raises:
        InvalidValueError: For a setting out of range, or a tracker without a keypoint head.
    """

    attack_params = [*EvasionAttack.attack_params, "eps", "max_iter", "eps_step", "target_pose", "verbose"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        eps: PositiveFraction = 8 / 255,
        max_iter: Count = 10,
        eps_step: PositiveFraction | None = None,
        target_pose: TargetPose | None = None,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps = eps
        self.max_iter = max_iter
        self.eps_step = eps_step
        self.target_pose = target_pose
        self.verbose = verbose
        self._check_params()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack each video separately.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1]; one frame is enough.
            y: ``[{"boxes": (F, 4), "keypoints": (17, 3)}, …]``: the person's boxes, xyxy in pixels, and the keypoints
                (x, y in pixels, visibility) in frame 0.
            y_patch_metadata: May hold ``keypoints`` (F, 17, 3) in place of the labels.

        Returns:
            The videos with a perturbed frame 0, same shape and dtype as ``x``.

        Raises:
            ValueError: For videos or labels of another shape or range, naming the video.
            TypeError: For an unknown keyword argument, or videos that are not floating point.
        """
        attacked = []
        for video, (box_xyxy, keypoints) in zip(x, read_true_poses(x, y, y_patch_metadata, kwargs), strict=True):
            pose = PoseEstimator(self.estimator, box_xyxy[None])
            if self.target_pose is not None:
                keypoints = target_keypoints(self.target_pose, keypoints, box_xyxy)
            perturbed = np.array(video)
            perturbed[:1] = self.perturb(pose, perturbed[:1].astype(np.float32), keypoints[None])
            attacked.append(perturbed)
        return stack_videos(attacked, x.dtype)

    def perturb(self, pose: PoseEstimator, pictures: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """Perturb pictures of people.

        Args:
            pose: The tracker, with the box of the person in each picture.
            pictures: (N, H, W, 3), RGB in [0, 1].
            keypoints: (N, 17, 3), pixels and visibility: those to be seen if the attack has a target pose, else the
                true ones, to be seen elsewhere.

        Returns:
            The perturbed pictures (N, H, W, 3) in [0, 1].
        """
        algorithm = self._algorithm(pose, len(pictures))
        # ART projects after it clips, which may leave the range by the last bit.
        return np.asarray(algorithm.generate(x=pictures, y=keypoints).clip(0, 1))

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        """ART's attack on ``count`` pictures, all in one batch."""
        return ProjectedGradientDescentNumpy(
            pose,
            eps=self.eps,
            eps_step=self.eps_step or min(STEPS_OVER_BOUND * self.eps / self.max_iter, self.eps),
            max_iter=self.max_iter,
            targeted=self.target_pose is not None,
            batch_size=count,
            verbose=self.verbose and sys.stderr.isatty(),
        )

    def _check_params(self) -> None:
        super()._check_params()
        check_arguments(type(self), vars(self))
        check_target_pose(self.target_pose)
        check_pose_tracker(self.estimator)


class KeypointFGSM(KeypointIGSM):
    """One step of full size on the keypoints (FGSM-U, FGSM-T), by ART's `FastGradientMethod`.

    Args:
        estimator: A SiamRPN tracker with a keypoint head.
        eps: Size of the step, in (0, 1]; colours lie in [0, 1] and are clipped there.
        target_pose: Pose to be detected (targeted): "upside_down", or 17 pairs [x, y] in widths and heights of the
            box. None moves the keypoints away from the true pose (untargeted).

    Raises:
        InvalidValueError: For a setting out of range, or a tracker without a keypoint head.
    """

    attack_params = [*EvasionAttack.attack_params, "eps", "target_pose"]

    def __init__(self, estimator: Any, eps: PositiveFraction = 8 / 255, target_pose: TargetPose | None = None) -> None:
        super().__init__(estimator, eps=eps, target_pose=target_pose)

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        return FastGradientMethod(pose, eps=self.eps, targeted=self.target_pose is not None, batch_size=count)
