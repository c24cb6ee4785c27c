"""FGSM and IGSM on the keypoints: one step, or many small ones, along the sign of the keypoint loss's gradient.

Jain et al., "On the Robustness of Human Pose Estimation", 2019, section 2: FGSM-U/T and IGSM-U/T-N. The steps are
ART's own. The paper gives no step size; here N steps can go 2.5 times as far as the bound, as Madry et al. 2018 advise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy

from armory_skelevision.attacks.interface import VideoAttack
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, check_pose_tracker
from armory_skelevision.attacks.keypoints.poses import TargetPose, TruePose, read_true_poses, target_keypoints
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, Iterations, PositiveFraction

STEPS_OVER_BOUND = 2.5
"""The sum of all step sizes as a multiple of the bound."""


class KeypointIGSM(VideoAttack):
    """A small perturbation of frame 0 that moves the detected keypoints (IGSM-U-N, IGSM-T-N).

    Only frame 0, from which the template is cut, is changed, so that one frame is enough. The gradient is that of the
    keypoint head's training loss, through all preprocessors. The true keypoints come from the labels or from ARMORY's
    metadata, see `read_true_poses`.

    Args:
        estimator: A SiamRPN tracker with a keypoint head.
        eps: Bound (l∞) of the perturbation, in (0, 1]; colours lie in [0, 1].
        max_iter: Number of steps N.
        eps_step: Size of a step, in (0, 1]; None for ``2.5 * eps / max_iter``, at most ``eps``.
        target_pose: Pose to be detected (targeted): "upside_down", or 17 pairs [x, y] in widths and heights of the
            box. None moves the keypoints away from the true pose (untargeted).
        verbose: Show progress: a bar on terminals, else a line a minute.

    Raises:
        InvalidValueError: For a setting out of range, or a tracker without a keypoint head.
    """

    min_frames = 1

    def __init__(
        self,
        estimator: Any,
        eps: PositiveFraction = 8 / 255,
        max_iter: Iterations = 10,
        eps_step: PositiveFraction | None = None,
        target_pose: TargetPose | None = None,
        verbose: bool = True,
    ) -> None:
        super().__init__(
            estimator, eps=eps, max_iter=max_iter, eps_step=eps_step, target_pose=target_pose, verbose=verbose
        )

    def _read_targets(self, videos: Sequence[np.ndarray], y: Any, metadata: Any) -> list[TruePose]:
        return read_true_poses(videos, y, metadata)

    def _attack_video(self, video: np.ndarray, target: TruePose) -> np.ndarray:
        pose = PoseEstimator(self.estimator, target.box_xyxy[None])
        keypoints = target.keypoints
        if self.target_pose is not None:
            keypoints = target_keypoints(self.target_pose, keypoints, target.box_xyxy)
        perturbed = np.array(video)
        perturbed[:1] = self.perturb(pose, perturbed[:1].astype(np.float32), keypoints[None])
        return perturbed

    def perturb(self, pose: PoseEstimator, pictures: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """Perturb pictures of people, (N, H, W, 3) in and out, RGB in [0, 1].

        Args:
            pose: The tracker, with the box of the person in each picture.
            pictures: The pictures.
            keypoints: (N, 17, 3), pixels and visibility: those to be seen if the attack has a target pose, else the
                true ones, to be seen elsewhere.
        """
        pose.check_keypoints(keypoints)
        algorithm = self._algorithm(pose, len(pictures))
        # ART projects after it clips, which may leave the range by the last bit.
        return self._run_steps(algorithm, type(self).__name__, pictures, keypoints).clip(0, 1)

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        """ART's attack on ``count`` pictures, all in one batch."""
        return ProjectedGradientDescentNumpy(
            pose,
            eps=self.eps,
            eps_step=self.eps_step or min(STEPS_OVER_BOUND * self.eps / self.max_iter, self.eps),
            max_iter=self.max_iter,
            targeted=self.target_pose is not None,
            batch_size=count,
            verbose=False,
        )

    def _refuse_boxes_only(self, estimator: Any) -> None:
        check_pose_tracker(estimator)

    def _check_params(self) -> None:
        super()._check_params()
        places = self.target_pose
        if places is not None and not isinstance(places, str) and len(places) != len(KEYPOINTS):
            expected = f"{len(KEYPOINTS)} pairs [x, y], one for each keypoint"
            raise InvalidValueError("target_pose", expected, str(len(places)))
        check_pose_tracker(self.estimator)


class KeypointFGSM(KeypointIGSM):
    """One step of full size on the keypoints (FGSM-U, FGSM-T), by ART's `FastGradientMethod`.

    Args:
        eps: Size of the step, in (0, 1]; colours lie in [0, 1] and are clipped there.
    """

    def __init__(self, estimator: Any, eps: PositiveFraction = 8 / 255, target_pose: TargetPose | None = None) -> None:
        super().__init__(estimator, eps=eps, max_iter=1, target_pose=target_pose)

    def _algorithm(self, pose: PoseEstimator, count: int) -> Any:
        return FastGradientMethod(pose, eps=self.eps, targeted=self.target_pose is not None, batch_size=count)
