"""Whole-frame perturbations along the loss's gradient: FGSM and PGD as ART does them, on videos."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy

from armory_skelevision.attacks.digital.per_frame import PerFrameEstimator
from armory_skelevision.attacks.interface import VideoAttack
from armory_skelevision.validation import Iterations, Step

Norm = Literal["inf", 2]


class PGD(VideoAttack):
    """Projected gradient descent (Madry et al. 2018) on all frames of a video, including frame 0 and so the template.

    Ascends the estimator's own loss, through all preprocessors. For the trackers of this package, that is the sum of
    absolute box errors over all frames (SkeleVision, Eq. 3). The steps are those of ART's
    `ProjectedGradientDescentNumpy`. Each frame is a sample of its own: norms are those of the perturbation of a frame.

    Args:
        estimator: One of ART's object trackers with ``loss_gradient``.
        norm: "inf", or 2: the root of the sum of squares over all H * W * 3 values of a frame.
        eps: Bound of the norm of a frame's perturbation, above 0; colours lie in [0, 1]. For the norm 2, it is
            ``sqrt(H * W * 3)`` times the root mean square of the perturbation.
        eps_step: Norm of each step, above 0.
        max_iter: Number of steps.
        decay: Weight of the past gradients (momentum, Dong et al. 2018), above 0; None for no momentum.
        universal: Share one perturbation between all frames of a video (Moosavi-Dezfooli et al. 2017). It differs
            between frames only where it would drive them beyond black or white.
        verbose: Show progress: a bar on terminals, else a line a minute.
    """

    def __init__(
        self,
        estimator: Any,
        norm: Norm = "inf",
        eps: Step = 8 / 255,
        eps_step: Step = 2 / 255,
        max_iter: Iterations = 10,
        decay: Step | None = None,
        universal: bool = False,
        verbose: bool = True,
    ) -> None:
        settings = {"eps": eps, "eps_step": eps_step, "max_iter": max_iter, "decay": decay, "universal": universal}
        super().__init__(estimator, norm=norm, **settings, verbose=verbose)

    def _check_params(self) -> None:
        if isinstance(self.norm, float) and self.norm == np.inf:  # ART takes both
            self.norm: Norm = "inf"
        super()._check_params()

    def _attack_video(self, video: np.ndarray, target: Any) -> np.ndarray:
        boxes_xyxy = np.asarray(target)
        if self.universal:
            algorithm = self._algorithm(PerFrameEstimator(self.estimator, video), 1)
            shared = self._run_steps(algorithm, type(self).__name__, np.zeros_like(video[:1]), boxes_xyxy[None])
            return np.asarray((video + shared).clip(0, 1))
        algorithm = self._algorithm(PerFrameEstimator(self.estimator, 0.0), len(video))
        # ART projects after it clips, which may leave the range by the last bit.
        return self._run_steps(algorithm, type(self).__name__, video, boxes_xyxy).clip(0, 1)

    def _algorithm(self, frames: PerFrameEstimator, count: int) -> Any:
        """ART's attack on ``count`` pictures, all in one batch."""
        return ProjectedGradientDescentNumpy(
            frames,
            norm=self.norm,
            eps=self.eps,
            eps_step=self.eps_step,
            decay=self.decay,
            max_iter=self.max_iter,
            batch_size=count,
            verbose=False,
        )


class FGSM(PGD):
    """The fast gradient sign method (Goodfellow et al. 2015): one step of full size, by ART's `FastGradientMethod`.

    With the norm 2, the step goes along each frame's gradient itself. The loss is that of `PGD`.

    Args:
        eps: Norm of each frame's perturbation, above 0; colours lie in [0, 1] and are clipped there.
    """

    def __init__(self, estimator: Any, norm: Norm = "inf", eps: Step = 8 / 255, universal: bool = False) -> None:
        super().__init__(estimator, norm=norm, eps=eps, max_iter=1, universal=universal)

    def _algorithm(self, frames: PerFrameEstimator, count: int) -> Any:
        return FastGradientMethod(frames, norm=self.norm, eps=self.eps, batch_size=count)
