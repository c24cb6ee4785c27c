"""A tracker of images as an estimator of the Adversarial Robustness Toolbox: boxes, and gradients where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor

from armory_skelevision.boxes import xywh_to_xyxy, xyxy_to_xywh
from armory_skelevision.models.adapter import MAX_COORDINATE, TrackerAdapter, TrackerFailedError
from armory_skelevision.models.box_loss import BoxLoss
from armory_skelevision.models.estimator import DeviceType
from armory_skelevision.models.inputs import check_first_boxes, check_videos, refuse_keywords
from armory_skelevision.models.origin import Origin
from armory_skelevision.models.preprocessing import check_operations, preprocess
from armory_skelevision.models.regions import RegionDefense
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, check_known, check_value


class ExternalEstimator(ObjectTrackerMixin, BaseEstimator):  # type: ignore[misc]
    """A tracker of which only boxes are known. Videos are RGB in [0, 1]; boxes are xyxy in pixels.

    It is enough for benign evaluations, for `IoUAttack`, for attacks made on another tracker, for triggers, and for
    preprocessors of whole frames. Frames are rounded to 8 bits. The tracker starts anew with each video.

    Args:
        adapter: The tracker.
        preprocessing_defences: ART preprocessors of whole frames.
        device_type: "gpu" (used where there is one) or "cpu": where tensors are.
    """

    native_label_is_pytorch_format = True
    input_shape = (None, None, None, 3)
    min_frames = 2
    origin: Origin | None = None
    """What `load_tracker` was asked for."""

    def __init__(
        self, adapter: TrackerAdapter, preprocessing_defences: Any = None, device_type: DeviceType = "gpu"
    ) -> None:
        check_value("device_type", device_type, DeviceType)
        _check_defences(preprocessing_defences)
        # ART's default is a preprocessor that subtracts 0 and divides by 1.
        defences = {"preprocessing_defences": preprocessing_defences, "preprocessing": None}
        super().__init__(model=adapter.tracker, clip_values=(0.0, 1.0), **defences)
        self.adapter = adapter
        self._device = torch.device("cuda" if device_type == "gpu" and torch.cuda.is_available() else "cpu")

    @property
    def name(self) -> str:
        """The tracker's name: its factory, if it came from one."""
        return self.adapter.name

    @property
    def device(self) -> torch.device:
        """Where tensors are: those that attacks compute with, and those that ``track_tensor`` gets."""
        return self._device

    @property
    def frame_operations(self) -> list[Preprocessor]:
        """Preprocessors of whole frames."""
        return [operation for operation in self.preprocessing_operations if operation.apply_predict]

    def set_params(self, **kwargs: Any) -> None:
        """Change ``preprocessing_defences``, the one parameter that can be changed.

        Raises:
            InvalidValueError, InvalidTypeError: For another one, or preprocessors that cannot act here.
        """
        check_known("", kwargs, ["preprocessing_defences"])
        _check_defences(kwargs.get("preprocessing_defences"))
        super().set_params(**kwargs)

    def predict(self, x: Any, batch_size: int = 1, *, y_init: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Track one target per video.

        Args:
            x: Videos (N, F, H, W, 3), array or tensor, RGB in [0, 1], or a sequence of N videos (F, H, W, 3).
            batch_size: Ignored; videos are tracked one after the other.
            y_init: The targets in frame 0, (N, 4), xyxy in pixels.

        Returns:
            Per video a dict with ``boxes`` (F, 4) float32, xyxy in pixels, that of frame 0 as given, and, if the
            tracker gives one for every frame, ``scores`` (F,) float32, on a scale of its own. Frame 0, which it is not
            asked about, has the score of frame 1. Arrays for arrays; tensors, without a graph, for tensors.

        Raises:
            InvalidValueError, InvalidTypeError: For input that the checks of `models.inputs` refuse, or an answer of
                the tracker that is no box.
            TrackerFailedError: If the tracker raises an exception, which is the cause of this one.
        """
        refuse_keywords(kwargs, ["batch_size", "y_init"])
        videos = check_videos(x, self.min_frames)
        boxes_xyxy = check_first_boxes(y_init, videos)
        return [self._predict_video(video, box_xyxy) for video, box_xyxy in zip(videos, boxes_xyxy, strict=True)]

    def start(self, frame: np.ndarray, box_xyxy: Tensor) -> TrackerAdapter:
        """The tracker, started with a frame (H, W, 3), RGB in [0, 1], and a box (4,) in it, in pixels."""
        with torch.inference_mode(False), torch.no_grad():
            self.adapter.initialize(frame, xyxy_to_xywh(box_xyxy).numpy())
        return self.adapter

    def fit(self, x: Any, y: Any, **kwargs: Any) -> None:
        """Not implemented: external trackers are trained elsewhere (NotImplementedError)."""
        raise NotImplementedError("an external tracker is trained by its own code")

    def _predict_video(self, video: Any, box_xyxy: Tensor) -> dict[str, Any]:
        with torch.inference_mode(False), torch.no_grad():
            operations = self.frame_operations
            given = as_tensor(video, self.device if operations else torch.device("cpu")).float()
            frames = preprocess(given, operations).cpu().numpy()
            tracker = self.start(frames[0], box_xyxy)
            answers = [tracker.track(frames[index], index) for index in range(1, len(frames))]
        boxes_xywh = torch.from_numpy(np.stack([xyxy_to_xywh(box_xyxy).numpy(), *(each.box_xywh for each in answers)]))
        found = {"boxes": xywh_to_xyxy(boxes_xywh).float()}
        scores = [answer.score for answer in answers]
        if None not in scores:
            found["scores"] = torch.tensor([scores[0], *scores], dtype=torch.float32)
        if isinstance(video, Tensor):
            return {key: values.to(self.device) for key, values in found.items()}
        return {key: values.numpy() for key, values in found.items()}


class ExternalTensorEstimator(BoxLoss, LossGradientsMixin, ExternalEstimator):  # type: ignore[misc]
    """A tracker with a further method ``track_tensor(frames, box_xywh)``, and so with gradients.

    The method gets a whole video and returns the boxes of all its frames:

    - ``frames``: (F, 3, H, W) float32 in 0..255, in the order of colours of its images, on `device`;
    - ``box_xywh``: (4,) float32, the target's box in frame 0, in pixels;
    - it returns (F, 4), frame 0 included, as a tensor that depends on ``frames`` through differentiable operations.

    Attacks differentiate through it. Arrays are tracked by the methods of the other class, so that an evaluation is the
    same with and without it; an attack is as strong as the two agree.
    """

    def _predict_video(self, video: Any, box_xyxy: Tensor) -> dict[str, Any]:
        if not isinstance(video, Tensor):
            return super()._predict_video(video, box_xyxy)
        with torch.inference_mode(False):
            return {"boxes": self._track_tensor(video, box_xyxy)}

    def _loss(self, video: Tensor, truth_xyxy: np.ndarray) -> Tensor:
        truth = as_tensor(truth_xyxy, self.device)
        loss: Tensor = (self._track_tensor(video, truth[0]) - truth).abs().sum()
        return loss

    def _track_tensor(self, video: Tensor, box_xyxy: Tensor) -> Tensor:
        """The boxes (F, 4), xyxy in pixels, in a video (F, H, W, 3), RGB in [0, 1], with a graph."""
        frames = preprocess(video.to(self.device).float(), self.frame_operations).permute(0, 3, 1, 2) * 255
        if self.adapter.color == "BGR":
            frames = frames.flip(1)
        try:
            boxes_xywh = self.model.track_tensor(frames, xyxy_to_xywh(box_xyxy).float().to(self.device))
        except Exception as raised:  # third-party code can raise anything
            raise TrackerFailedError.of(self.name, "boxes from track_tensor", raised) from raised
        _check_boxes(boxes_xywh, frames, f"{self.name}: track_tensor")
        return xywh_to_xyxy(boxes_xywh.to(self.device))


def _check_defences(defences: Any) -> None:
    check_operations(defences, None)
    for each in defences if isinstance(defences, list | tuple) else [defences]:
        if isinstance(each, RegionDefense) and type(each).forward is RegionDefense.forward:
            expected = "preprocessors of whole frames, as an external tracker shows its crops to nobody"
            raise InvalidTypeError("preprocessing_defences", expected, type(each).__name__)


def _check_boxes(boxes_xywh: Any, frames: Tensor, key: str) -> None:
    """Refuse what is no differentiable boxes (F, 4) in ``frames``, as `InvalidTypeError` or `InvalidValueError`."""
    expected = f"a tensor ({len(frames)}, 4) of boxes (x, y, width, height), frame 0 included"
    if not isinstance(boxes_xywh, Tensor):
        raise InvalidTypeError(key, expected, type(boxes_xywh).__name__)
    if boxes_xywh.shape != (len(frames), 4):
        raise InvalidValueError(key, expected, f"shape {tuple(boxes_xywh.shape)}")
    values = boxes_xywh.detach()
    wrong = ~(values.abs() <= MAX_COORDINATE).all(dim=1) | (values[:, 2:] < 0).any(dim=1)
    if wrong.any():
        frame = int(wrong.nonzero()[0])
        raise InvalidValueError(key, f"{expected}, finite", f"{values[frame].tolist()} in frame {frame}")
    if frames.requires_grad and torch.is_grad_enabled() and not boxes_xywh.requires_grad:
        fix = "leave out no_grad, detach and NumPy; without a gradient, do not define track_tensor"
        raise InvalidValueError(key, "boxes with a gradient", "boxes without one", fix)
