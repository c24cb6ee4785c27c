"""The template branch of a tracker as ART's attacks on images see it: pictures in, keypoints out."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.digital.per_frame import PerFrameEstimator
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.models.keypoints import read_keypoints, to_template
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.networks.inference import with_gradients
from armory_skelevision.tracking import VideoFrames, Window
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.losses import keypoint_distance, keypoint_softmax
from armory_skelevision.tracking.windows import initial_state, resize_crop, template_window
from armory_skelevision.validation import InvalidValueError

# Pictures whose activations are held at a time.
CHUNK = 32


class PoseEstimator(PerFrameEstimator):
    """The keypoints of one person in each picture, and the keypoint loss, through all of the tracker's preprocessors.

    Args:
        tracker: A SiamRPN tracker with a keypoint head.
        boxes_xyxy: The person's box in each picture, (N, 4), pixels.
        base: Pictures (N, H, W, 3), RGB in [0, 1], that one shared perturbation is added to; None where the samples are
            the pictures themselves.

    Raises:
        InvalidValueError: For a tracker without a keypoint head.
    """

    def __init__(self, tracker: SiamRPNEstimator, boxes_xyxy: np.ndarray, base: np.ndarray | None = None) -> None:
        check_pose_tracker(tracker)
        super().__init__(tracker, base)
        self.boxes_xyxy = [torch.tensor(box, dtype=torch.float64) for box in boxes_xyxy]

    def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Keypoints (N, 17, 3), x and y in pixels and confidence in [0, 1], of pictures (N, H, W, 3) in [0, 1]."""
        with torch.no_grad():
            found = [
                read_keypoints(answer, window)
                for part in self._parts()
                for answer, window in zip(self._answers(self._tensor(x[part]), part), self._windows(part), strict=True)
            ]
        return torch.stack(found).cpu().numpy()

    def compute_loss(self, x: np.ndarray, y: np.ndarray, **kwargs: Any) -> np.ndarray:
        """The loss (N,) of pictures (N, H, W, 3), RGB in [0, 1], with keypoints (N, 17, 3) in their pixels.

        It is the softmax cross-entropy over positions, for a head by regression the squared distance; a mean over the
        labelled keypoints inside the template.
        """
        with torch.no_grad():
            losses = [self._losses(self._tensor(x[part]), y[part], part) for part in self._parts()]
        return torch.cat(losses).numpy(force=True)

    @with_gradients
    def _frame_gradients(self, frames: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Gradient of each picture's own loss for pictures (N, H, W, 3) and keypoints (N, 17, 3) or (1, N, 17, 3)."""
        keypoints = y.reshape(len(frames), -1, 3)
        gradients = []
        for part in self._parts():
            leaf = self._tensor(frames[part]).requires_grad_()
            loss = self._losses(leaf, keypoints[part], part).sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0].cpu().numpy())
        return np.concatenate(gradients)

    def check_keypoints(self, keypoints: np.ndarray) -> None:
        """Refuse keypoints (N, 17, 3) of which none counts, so that there is no gradient (`InvalidValueError`)."""
        size = self.model.settings.exemplar_size
        for index, (each, window) in enumerate(zip(keypoints, self._windows(slice(None)), strict=True)):
            places = to_template(torch.as_tensor(each), window, size)
            inside = ((places[:, :2] >= 0) & (places[:, :2] < size)).all(dim=1) & (places[:, 2] > 0)
            if not inside.any():
                expected = "a labelled keypoint inside the template, in pixels of frame 0"
                raise InvalidValueError(f"keypoints of person {index}", expected, "none", "an attack would do nothing")

    def _losses(self, pictures: Tensor, keypoints: np.ndarray, part: slice) -> Tensor:
        size = self.model.settings.exemplar_size
        answers = self._answers(pictures, part)
        labels = [
            to_template(torch.as_tensor(each).to(answers), window, size)
            for each, window in zip(keypoints, self._windows(part), strict=True)
        ]
        loss = keypoint_softmax if answers.ndim == 4 else partial(keypoint_distance, size=size)
        return torch.stack([loss(a[None], k[None]) for a, k in zip(answers, labels, strict=True)])

    def _answers(self, pictures: Tensor, part: slice) -> Tensor:
        """What the keypoint head answers to a part of the pictures (n, H, W, 3); see `AnchorNetwork.keypoints`."""
        tracker = self.model
        templates = [
            tracker.crops(VideoFrames(preprocess(picture[None], tracker.frame_operations)), box_xyxy).template
            for picture, box_xyxy in zip(pictures, self.boxes_xyxy[part], strict=True)
        ]
        answers: Tensor = tracker.model.keypoints(tracker.model.embed(torch.cat(templates)))
        return answers

    def _tensor(self, pictures: np.ndarray) -> Tensor:
        return as_tensor(pictures, self.model.device).float()

    def _windows(self, part: slice) -> list[Window]:
        settings = self.model.settings
        return [template_window(initial_state(box_xyxy, settings), settings) for box_xyxy in self.boxes_xyxy[part]]

    def _parts(self) -> list[slice]:
        return [slice(start, start + CHUNK) for start in range(0, len(self.boxes_xyxy), CHUNK)]


def check_pose_tracker(tracker: Any) -> None:
    """Refuse a tracker that has no keypoint head (`InvalidValueError`)."""
    if not isinstance(tracker, SiamRPNEstimator) or tracker.model.keypoint_head is None:
        got = type(tracker).__name__ + (" without one" if isinstance(tracker, SiamRPNEstimator) else "")
        raise InvalidValueError("estimator", "a tracker with a keypoint head", got, "use siamrpn_mtl")


def cut_template(
    tracker: SiamRPNEstimator, picture: np.ndarray, box_xyxy: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The template crop of a person in a picture (H, W, 3), RGB in [0, 1], and the keypoints in it.

    The person's box (4,) and keypoints (17, 3) are in pixels of the picture. No preprocessor is applied.

    Returns:
        The crop (s, s, 3) float32 in [0, 1], and the keypoints (17, 3) in its pixels.
    """
    window = template_window(
        initial_state(torch.tensor(box_xyxy, dtype=torch.float64), tracker.settings), tracker.settings
    )
    size = tracker.settings.exemplar_size
    frames = VideoFrames(as_tensor(picture[None], torch.device("cpu")).float())
    crop = resize_crop(frames.window(0, window), size).permute(1, 2, 0).contiguous().numpy()
    return crop, to_template(torch.as_tensor(keypoints), window, size).numpy()


def box_of_template(tracker: SiamRPNEstimator) -> np.ndarray:
    """The box (4,) xyxy, pixels, whose template window is the whole of a picture as large as a template."""
    size, context = tracker.settings.exemplar_size, tracker.settings.context
    half = size / (1 + 2 * context) / 2
    middle = (size + 1) / 2  # a box's centre lies half a pixel before its middle
    return np.array([middle - half, middle - half, middle + half, middle + half])
