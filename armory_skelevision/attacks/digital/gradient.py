"""Whole-frame perturbations along the loss's gradient: FGSM and PGD as ART does them, on videos."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.digital.per_frame import FrameBatch
from armory_skelevision.attacks.interface import check_call, stack_videos
from armory_skelevision.models.inputs import check_box, check_flag, check_labels, check_positive, check_whole

Norm = Literal["inf", 2]


class PGD(EvasionAttack):  # type: ignore[misc]
    """Projected gradient descent (Madry et al. 2018) on all frames of a video, frame 0 and so the template included.

    Ascends the estimator's own loss, through all preprocessors; ours is the sum of absolute box errors over all frames
    (SkeleVision, Eq. 3). The steps are those of ART's `ProjectedGradientDescentNumpy`. Every frame is a sample of its
    own: norms are those of a frame's perturbation, not of the video's.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers with ``loss_gradient``.
        norm: "inf", or 2: the root of the sum of squares over all H * W * 3 values of a frame.
        eps: Largest norm of a frame's perturbation; colours lie in [0, 1]. For the norm 2, ``sqrt(H * W * 3)`` times
            the perturbation's root mean square.
        eps_step: Norm of each step.
        max_iter: Number of steps.
        decay: Weight of the past gradients (momentum, Dong et al. 2018); None for no momentum.
        universal: One perturbation for all frames of a video (Moosavi-Dezfooli et al. 2017), equal in all of them but
            for the values that it would drive beyond black or white.
        verbose: Show a progress bar (on terminals).

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        *("norm", "eps", "eps_step", "max_iter", "decay", "universal", "verbose"),
    ]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        norm: Norm = "inf",
        eps: float = 8 / 255,
        eps_step: float = 2 / 255,
        max_iter: int = 10,
        decay: float | None = None,
        universal: bool = False,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.norm = norm
        self.eps = eps
        self.eps_step = eps_step
        self.max_iter = max_iter
        self.decay = decay
        self.universal = universal
        self.verbose = verbose
        self._check_params()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1].
            y: True boxes, ``[{"boxes": (F, 4)}, …]``; the first box of each starts the tracker.
            y_patch_metadata: What ARMORY hands to every attack; not used here.

        Returns:
            The perturbed videos, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, naming the video.
        """
        check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        labels = check_labels(y, x)
        for index, (video, boxes) in enumerate(zip(x, labels, strict=True)):
            check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}] frame 0")
        attacked = [self._attack_video(video, boxes) for video, boxes in zip(x, labels, strict=True)]
        return stack_videos(attacked, x.dtype)

    def _attack_video(self, video: np.ndarray, boxes: Any) -> np.ndarray:
        boxes_xyxy = np.asarray(boxes)
        if self.universal:
            algorithm = self._algorithm(FrameBatch(self.estimator, video, (-1, 1)), 1)
            shared = algorithm.generate(x=np.zeros_like(video[:1]), y=boxes_xyxy[None])
            return np.asarray((video + shared).clip(0, 1))
        algorithm = self._algorithm(FrameBatch(self.estimator, 0.0, (0, 1)), len(video))
        # ART projects after it clips, which may leave the range by the last bit.
        return np.asarray(algorithm.generate(x=video, y=boxes_xyxy).clip(0, 1))

    def _algorithm(self, frames: FrameBatch, count: int) -> Any:
        """ART's attack on ``count`` pictures, all in one batch."""
        return ProjectedGradientDescentNumpy(
            frames,
            norm=self.norm,
            eps=self.eps,
            eps_step=self.eps_step,
            decay=self.decay,
            max_iter=self.max_iter,
            batch_size=count,
            verbose=self.verbose and sys.stderr.isatty(),
        )

    def _check_params(self) -> None:
        super()._check_params()
        if self.norm not in ("inf", 2, np.inf):
            raise ValueError(f'norm: expected "inf" or 2, got {self.norm!r}')
        for name in ("eps", "eps_step"):
            check_positive(name, getattr(self, name))
        check_whole("max_iter", self.max_iter)
        if self.decay is not None:
            check_positive("decay", self.decay)
        check_flag("universal", self.universal)
        check_flag("verbose", self.verbose)


class FGSM(PGD):
    """The fast gradient sign method (Goodfellow et al. 2015): one step of full size, by ART's `FastGradientMethod`.

    With the norm 2 the step goes along each frame's gradient itself. Everything else is as in `PGD`.

    Args:
        estimator: As in `PGD`.
        norm: As in `PGD`.
        eps: Norm of each frame's perturbation, smaller only by what would lie beyond black or white.
        universal: As in `PGD`.

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    attack_params = [*EvasionAttack.attack_params, "norm", "eps", "universal"]

    def __init__(self, estimator: Any, norm: Norm = "inf", eps: float = 8 / 255, universal: bool = False) -> None:
        super().__init__(estimator, norm=norm, eps=eps, universal=universal)

    def _algorithm(self, frames: FrameBatch, count: int) -> Any:
        return FastGradientMethod(frames, norm=self.norm, eps=self.eps, batch_size=count)
