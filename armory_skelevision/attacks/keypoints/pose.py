"""The template branch of a tracker as ART's attacks on images see it: pictures in, keypoints out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.models.keypoints import read_maps, to_template
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.tracking import VideoFrames, Window
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.losses import keypoint_softmax
from armory_skelevision.tracking.state import initial_state, template_window
from armory_skelevision.tracking.windows import resize_crop

# Pictures whose activations are held at a time.
CHUNK = 32


class PoseEstimator(LossGradientsMixin, BaseEstimator):  # type: ignore[misc]
    """Keypoints of one person in each picture, and the keypoint loss, through all of the tracker's preprocessors.

    Args:
        tracker: With a keypoint head.
        boxes_xyxy: Where the person of each picture is, (N, 4), pixels.
        base: Pictures (N, H, W, 3) that one shared picture is added to; None where the pictures are given themselves.

    Raises:
        ValueError: For a tracker without a keypoint head.
    """

    estimator_params = BaseEstimator.estimator_params

    def __init__(self, tracker: SiamRPNEstimator, boxes_xyxy: np.ndarray, base: np.ndarray | None = None) -> None:
        check_pose_tracker(tracker)
        super().__init__(model=tracker, clip_values=(0.0, 1.0) if base is None else (-1.0, 1.0))
        self.boxes_xyxy = [torch.tensor(box, dtype=torch.float64) for box in boxes_xyxy]
        self.base = base

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one sample: a picture of any size, RGB."""
        return (None, None, 3)

    def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Keypoints (N, 17, 3), x and y in pixels and confidence, of pictures (N, H, W, 3)."""
        found = []
        with torch.no_grad():
            for part in self._parts():
                maps = self._maps(as_tensor(x[part], self.model.device).float(), part)
                found += [
                    read_maps(each, self._window(index)) for each, index in zip(maps, _numbers(part), strict=True)
                ]
        return torch.stack(found).cpu().numpy()

    def compute_loss(self, x: np.ndarray, y: np.ndarray, **kwargs: Any) -> np.ndarray:
        """The loss of each picture, (N,): softmax cross-entropy over positions, the mean over labelled keypoints.

        Args:
            x: Pictures (N, H, W, 3), RGB in [0, 1].
            y: Keypoints (N, 17, 3) in pixels of the pictures; those outside the template do not count.
        """
        with torch.no_grad():
            losses = [
                self._losses(as_tensor(x[part], self.model.device).float(), y[part], part) for part in self._parts()
            ]
        return torch.cat(losses).cpu().numpy()

    def loss_gradient(self, x: np.ndarray, y: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Gradient of each picture's loss, of the shape of ``x``; of all pictures' for one that they share.

        A shared picture has none where it drives a picture beyond black or white and shows no difference.
        """
        if self.base is None:
            return self._gradient(x, y)
        wanted = self.base + x
        keypoints = y.reshape(len(self.base), -1, 3)
        gradient = self._gradient(wanted.clip(0, 1).astype(np.float32), keypoints)
        total: np.ndarray = np.where((wanted >= 0) & (wanted <= 1), gradient, 0).sum(axis=0, keepdims=True)
        return total

    def fit(self, x: np.ndarray, y: Any, **kwargs: Any) -> None:
        """Not here: see `armory_skelevision.training`."""
        raise NotImplementedError("training is done by `skelevision train`, not by the estimator")

    def _gradient(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        gradients = []
        for part in self._parts():
            leaf = as_tensor(x[part], self.model.device).float().requires_grad_()
            loss = self._losses(leaf, y[part], part).sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0].cpu().numpy())
        return np.concatenate(gradients)

    def _losses(self, pictures: Tensor, keypoints: np.ndarray, part: slice) -> Tensor:
        size = self.model.settings.exemplar_size
        maps = self._maps(pictures, part)
        wanted = [
            to_template(torch.as_tensor(each).to(maps), self._window(index), size)
            for each, index in zip(keypoints, _numbers(part), strict=True)
        ]
        return torch.stack([keypoint_softmax(m[None], k[None]) for m, k in zip(maps, wanted, strict=True)])

    def _maps(self, pictures: Tensor, part: slice) -> Tensor:
        """Logits (n, 17, s, s) of some of the pictures."""
        tracker = self.model
        templates = [
            tracker.crops(VideoFrames(preprocess(picture[None], tracker.frame_operations)), box_xyxy).template
            for picture, box_xyxy in zip(pictures, self.boxes_xyxy[part], strict=True)
        ]
        logits: Tensor = tracker.model.keypoints(tracker.model.embed(torch.cat(templates)))
        return logits

    def _window(self, index: int) -> Window:
        return template_window(initial_state(self.boxes_xyxy[index]), self.model.settings)

    def _parts(self) -> list[slice]:
        count = len(self.boxes_xyxy)
        return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def check_pose_tracker(tracker: Any) -> None:
    """Refuse a tracker that sees no keypoints (ValueError)."""
    if not isinstance(tracker, SiamRPNEstimator) or tracker.model.keypoint_head is None:
        raise ValueError("attacks on keypoints need a tracker with a keypoint head: siamrpn_mtl")


def cut_template(
    tracker: SiamRPNEstimator, picture: np.ndarray, box_xyxy: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The template crop of a person and the keypoints in it, before any preprocessor.

    Args:
        tracker: Whose template.
        picture: (H, W, 3) RGB in [0, 1].
        box_xyxy: (4,) the person.
        keypoints: (17, 3).

    Returns:
        The crop (s, s, 3) float32, and the keypoints (17, 3) in its pixels.
    """
    window = template_window(initial_state(torch.tensor(box_xyxy, dtype=torch.float64)), tracker.settings)
    size = tracker.settings.exemplar_size
    frames = VideoFrames(torch.as_tensor(picture[None]).float())
    crop = resize_crop(frames.window(0, window), size).permute(1, 2, 0).contiguous().numpy()
    return crop, to_template(torch.as_tensor(keypoints), window, size).numpy()


def box_of_template(tracker: SiamRPNEstimator) -> np.ndarray:
    """The box (4,) xyxy for which the template window of a picture the size of a template is all of it."""
    size, context = tracker.settings.exemplar_size, tracker.settings.context
    half = size / (1 + 2 * context) / 2
    middle = (size + 1) / 2  # a box's centre lies half a pixel before its middle
    return np.array([middle - half, middle - half, middle + half, middle + half])


def _numbers(part: slice) -> range:
    return range(part.start, part.stop)
