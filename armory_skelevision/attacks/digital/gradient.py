"""Whole-frame perturbations along the loss's gradient: FGSM and PGD as ART does them, on videos."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy

from armory_skelevision.attacks.digital.per_frame import PerFrameEstimator
from armory_skelevision.attacks.interface import VideoAttack
from armory_skelevision.boxes import iou
from armory_skelevision.validation import InvalidValueError, Iterations, Repeats, Seed, Step

Norm = Literal["inf", 2]


class PGD(VideoAttack):
    """Projected gradient descent (Madry et al. 2018) on all frames of a video, including frame 0 and so the template.

    Ascends the estimator's own loss, through all preprocessors. For the trackers of this package, that is the sum of
    absolute box errors over all frames (SkeleVision, Eq. 3). The steps are those of ART's
    `ProjectedGradientDescentNumpy`. Each frame is a sample of its own: norms are those of the perturbation of a frame.

    Of several starts, the one is kept that leaves the lowest mean IoU, defenses included.

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
        restarts: Number of starts; the first is the video itself, the others are random perturbations within the bound.
        seed: Seed of the random starts; with a single start nothing is random, and only 0 is accepted.
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
        restarts: Repeats = 1,
        seed: Seed = 0,
        verbose: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in PGD.attack_params}  # FGSM has fewer
        super().__init__(estimator, **settings)

    def _check_params(self) -> None:
        if isinstance(self.norm, float) and self.norm == np.inf:  # ART takes both
            self.norm: Norm = "inf"
        super()._check_params()
        if self.seed != 0 and self.restarts == 1:
            fix = "leave it out, or set restarts to 2 or more"
            raise InvalidValueError("seed", "0 with one start, where nothing is random", str(self.seed), fix)

    def _attack_video(self, video: np.ndarray, target: Any) -> np.ndarray:
        boxes_xyxy, rng = np.asarray(target), np.random.default_rng(self.seed)
        attacked = self._attack_once(video, boxes_xyxy, None)
        if self.restarts == 1:
            return attacked
        lowest = self._mean_iou(attacked, boxes_xyxy)
        for _ in range(1, self.restarts):
            other = self._attack_once(video, boxes_xyxy, rng)
            found = self._mean_iou(other, boxes_xyxy)
            if found < lowest:
                attacked, lowest = other, found
        return attacked

    def _attack_once(self, video: np.ndarray, boxes_xyxy: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """The attacked video from one start: the video itself, or a random one."""
        samples = np.zeros_like(video[:1]) if self.universal else video
        algorithm = self._algorithm(PerFrameEstimator(self.estimator, video if self.universal else 0.0), len(samples))
        if rng is not None:
            algorithm.start = samples + self._draw_noise(samples.shape, rng).astype(samples.dtype)
        labels = boxes_xyxy[None] if self.universal else boxes_xyxy
        found = self._run_steps(algorithm, type(self).__name__, samples, labels)
        # ART projects after it clips, which may leave the range by the last bit.
        return np.asarray((video + found if self.universal else found).clip(0, 1))

    def _draw_noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Noise within the bound: uniform in each value, or for the norm 2 in a direction that is."""
        if self.norm == "inf":
            return rng.uniform(-self.eps, self.eps, shape)
        noise = rng.standard_normal(shape)
        length = np.sqrt(np.square(noise).sum(axis=(1, 2, 3), keepdims=True))
        return np.asarray(noise * (self.eps * rng.random(length.shape) / length))

    def _mean_iou(self, video: np.ndarray, boxes_xyxy: np.ndarray) -> float:
        """What a perturbed video leaves of the mean IoU, without frame 0."""
        found = self.estimator.predict(video[None], y_init=boxes_xyxy[:1])[0]["boxes"]
        overlaps = iou(torch.as_tensor(found).double(), torch.as_tensor(boxes_xyxy).double())
        return float(overlaps[1:].mean())

    def _algorithm(self, frames: PerFrameEstimator, count: int) -> Any:
        """ART's attack on ``count`` pictures, all in one batch."""
        return _StartedPGD(
            frames,
            norm=self.norm,
            eps=self.eps,
            eps_step=self.eps_step,
            decay=self.decay,
            max_iter=self.max_iter,
            batch_size=count,
            verbose=False,
        )


class _StartedPGD(ProjectedGradientDescentNumpy):  # type: ignore[misc]
    """ART's attack from a start that is given: its own random starts are for classifiers alone, and have no seed."""

    start: np.ndarray | None = None
    """Where the next step begins, instead of where the last one ended."""

    def _compute(self, x: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        if self.start is not None:
            x, self.start = self.start.clip(*self.estimator.clip_values), None
        return np.asarray(super()._compute(x, *args, **kwargs))


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
