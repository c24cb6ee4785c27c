"""A tracker as ART's attacks on images see it: each frame of a video is a sample of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from art.estimators.estimator import BaseEstimator, LossGradientsMixin


class PerFrameEstimator(LossGradientsMixin, BaseEstimator):  # type: ignore[misc]
    """The loss of a tracker on one video, as a function of its frames or of a perturbation of them.

    ART bounds and scales the perturbation of each sample on its own. With a whole video as the sample, an l2 norm would
    be that of the video; here it is that of a frame. The sample may also be one perturbation that all frames share.

    Args:
        tracker: One of ART's object trackers with ``loss_gradient`` on videos.
        base: What the samples are added to: the frames (F, H, W, 3), RGB in [0, 1], for a shared perturbation; 0 where
            the samples are the frames themselves; None for the same without the clipping to [0, 1].
    """

    estimator_params = BaseEstimator.estimator_params

    def __init__(self, tracker: Any, base: np.ndarray | float | None) -> None:
        super().__init__(model=tracker, clip_values=(-1.0, 1.0) if isinstance(base, np.ndarray) else (0.0, 1.0))
        self.base = base
        self.on_step: Callable[[], object] = lambda: None
        """Called after each gradient, which is a step of an attack."""

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one sample: a picture of any size, RGB."""
        return (None, None, 3)

    def loss_gradient(self, x: np.ndarray, y: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Gradient of the loss with respect to the samples.

        Args:
            x: Frames (F, H, W, 3) in [0, 1], or one perturbation (1, H, W, 3) in [-1, 1] that all frames share.
            y: True boxes of all frames, (F, 4) or (1, F, 4), xyxy in pixels.

        Returns:
            The shape of ``x``; 0 where a frame would leave [0, 1] and is clipped.
        """
        gradient = self._sample_gradient(x, y)
        self.on_step()
        return gradient

    def _sample_gradient(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.base is None:
            return self._frame_gradients(x, y)
        unclipped = self.base + x
        gradient = self._frame_gradients(unclipped.clip(0, 1).astype(np.float32), y)
        gradient = np.where((unclipped >= 0) & (unclipped <= 1), gradient, 0)
        return gradient if len(x) == len(unclipped) else gradient.sum(axis=0, keepdims=True)

    def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Not supported: frames without their video cannot be tracked (NotImplementedError)."""
        raise NotImplementedError("a frame alone cannot be tracked; call the tracker's predict with the whole video")

    def fit(self, x: np.ndarray, y: Any, **kwargs: Any) -> None:
        """Not supported: the tracker is trained by itself (NotImplementedError)."""
        raise NotImplementedError("training is done by `skelevision train`, not by the estimator")

    def _frame_gradients(self, frames: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Gradient of the loss with respect to frames (F, H, W, 3) in [0, 1], of the same shape."""
        gradient: np.ndarray = self.model.loss_gradient(frames[None], [{"boxes": y.reshape(-1, 4)}])[0]
        return gradient
