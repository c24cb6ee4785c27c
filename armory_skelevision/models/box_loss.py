"""The loss of a tracker by its boxes, and its gradient with respect to whole frames, as ART's attacks ask for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.boxes import as_array
from armory_skelevision.models.inputs import check_first_boxes, check_labels, check_videos
from armory_skelevision.networks.inference import with_gradients
from armory_skelevision.tracking.frames import as_tensor


class BoxLoss:
    """`loss_gradient` and `compute_loss` of an estimator, by the loss of one video."""

    min_frames: int

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the videos are differentiated."""

    @abstractmethod
    def _loss(self, video: Tensor, truth_xyxy: np.ndarray) -> Tensor:
        """Sum of the absolute differences of the boxes in a video (F, H, W, 3) from the true ones (F, 4), a scalar."""

    @with_gradients
    def loss_gradient(self, x: np.ndarray, y: Sequence[dict[str, Any]], **kwargs: Any) -> np.ndarray:
        """Gradient of `compute_loss` with respect to whole frames, through all preprocessors.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or a sequence of N videos.
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, xyxy in pixels.
            kwargs: Ignored.

        Returns:
            An array of the shape of ``x``; an object array (N,) for an object array, or for videos of several sizes.
        """
        gradients = []
        for video, boxes_xyxy in zip(*self._check_labelled(x, y), strict=True):
            leaf = as_tensor(video, self.device).detach().clone().requires_grad_()
            loss = self._loss(leaf, boxes_xyxy)
            gradients.append(as_array(torch.autograd.grad(loss, leaf)[0]))
        if getattr(x, "dtype", None) != np.dtype(object) and len({gradient.shape for gradient in gradients}) == 1:
            return np.stack(gradients)
        result = np.empty(len(gradients), dtype=object)
        result[:] = gradients
        return result

    @with_gradients
    def compute_loss(self, x: Any, y: Sequence[dict[str, Any]], **kwargs: Any) -> np.ndarray:
        """Sum of absolute box errors over frames and coordinates (SkeleVision, Eq. 3).

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or a sequence of N videos.
            y: See `loss_gradient`.
            kwargs: Ignored.

        Returns:
            One value per video in pixels, (N,) float32.
        """
        pairs = zip(*self._check_labelled(x, y), strict=True)
        with torch.no_grad():
            losses = [self._loss(as_tensor(video, self.device), boxes_xyxy) for video, boxes_xyxy in pairs]
        return np.array([float(loss) for loss in losses], dtype=np.float32)

    def _check_labelled(self, x: Any, y: Any) -> tuple[list[Any], list[np.ndarray]]:
        videos = check_videos(x, self.min_frames)
        boxes = check_labels(y, videos)
        check_first_boxes([label[0] for label in boxes], videos)
        return videos, boxes
