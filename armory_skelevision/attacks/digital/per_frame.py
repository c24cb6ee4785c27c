"""A tracker as ART's attacks on images see it: each frame of a video is a sample of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from art.estimators.estimator import BaseEstimator, LossGradientsMixin


class FrameBatch(LossGradientsMixin, BaseEstimator):  # type: ignore[misc]
    """The loss of a tracker on one video, as a function of a batch of pictures added to its frames.

    ART bounds and scales the perturbation of each sample on its own. With a whole video as the sample, an l2 norm would
    be that of the video; here it is that of a frame. The sample may also be one picture that all frames share.

    Args:
        tracker: Any of ART's estimators with ``loss_gradient`` on videos.
        base: What the pictures are added to: the video (F, H, W, 3) for a shared perturbation, or 0 where the pictures
            are the frames themselves.
        clip_values: The range of the pictures.
    """

    estimator_params = BaseEstimator.estimator_params

    def __init__(self, tracker: Any, base: np.ndarray | float, clip_values: tuple[float, float]) -> None:
        super().__init__(model=tracker, clip_values=clip_values)
        self.base = base

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one sample: a picture of any size, RGB."""
        return (None, None, 3)

    def loss_gradient(self, x: np.ndarray, y: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Gradient of the tracker's loss with respect to the pictures.

        Args:
            x: Pictures (F, H, W, 3), one per frame, or (1, H, W, 3), one for all.
            y: True boxes of all frames, (F, 4) or (1, F, 4).

        Returns:
            The shape of ``x``; 0 where a frame is driven beyond black or white and shows no difference.
        """
        wanted = self.base + x
        shown = wanted.clip(0, 1).astype(np.float32)
        gradient = self.model.loss_gradient(shown[None], [{"boxes": y.reshape(-1, 4)}])[0]
        gradient = np.where((wanted >= 0) & (wanted <= 1), gradient, 0)
        return gradient if len(x) == len(shown) else gradient.sum(axis=0, keepdims=True)

    def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Not here: frames out of their video cannot be tracked."""
        raise NotImplementedError("a frame alone cannot be tracked; ask the tracker, with the whole video")

    def fit(self, x: np.ndarray, y: Any, **kwargs: Any) -> None:
        """Not here: see the tracker."""
        raise NotImplementedError("train the tracker itself")
