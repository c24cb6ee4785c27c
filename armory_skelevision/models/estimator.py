"""A Siamese tracker as an estimator of the Adversarial Robustness Toolbox, for ARMORY's scenarios and attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from art.estimators.pytorch import PyTorchEstimator
from torch import Tensor

from armory_skelevision.models.inputs import check_box, check_labels, check_video, refuse_keywords
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.models.regions import RegionDefense
from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import Crops, Frames, TemplateMatcher, TrackerSettings, VideoFrames, network_input
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.tracker import run_tracker, track
from armory_skelevision.validation import InvalidValueError, Settings, check_value

DeviceType = Literal["gpu", "cpu"]


@dataclass(frozen=True)
class WrapperSettings(Settings):
    """``wrapper_kwargs`` of a tracker.

    Attributes:
        device_type: "gpu" (used where there is one) or "cpu".
        tracking: Constants of the tracker. They take precedence over those recorded in the weights file, which take
            precedence over the defaults.
    """

    device_type: DeviceType = "gpu"
    tracking: Mapping[str, Any] = field(default_factory=dict)


class SiameseEstimator(ObjectTrackerMixin, PyTorchEstimator):  # type: ignore[misc]
    """A person tracker. Videos are RGB in [0, 1]; boxes are xyxy in pixels; nothing is kept between calls.

    Args:
        model: The network; moved to the device and frozen (see `networks.inference.freeze`).
        settings: Constants of the tracker, of the class for the network's kind of head.
        clip_values: Must be (0, 1).
        preprocessing_defences: ART preprocessors, applied to whole frames, and `RegionDefense`, applied to crops.
        postprocessing_defences: Must be empty: boxes have none.
        preprocessing: As in ART, applied after the defences.
        device_type: "gpu" (used where there is one) or "cpu".

    Raises:
        InvalidValueError: For another device type, clip values other than (0, 1), or postprocessing defences.
    """

    estimator_params = PyTorchEstimator.estimator_params + ["settings"]
    min_frames = 2
    """Smallest number of frames of a video: one for the template, and one to find the target in."""

    def __init__(
        self,
        model: SiameseNetwork,
        settings: TrackerSettings,
        clip_values: tuple[float, float] = (0.0, 1.0),
        preprocessing_defences: Any = None,
        postprocessing_defences: Any = None,
        preprocessing: Any = None,
        device_type: DeviceType = "gpu",
    ) -> None:
        check_value("device_type", device_type, DeviceType)
        super().__init__(
            model=model,
            clip_values=clip_values,
            channels_first=False,
            preprocessing_defences=preprocessing_defences,
            postprocessing_defences=postprocessing_defences,
            preprocessing=preprocessing,
            device_type=device_type,
        )
        self.settings = settings
        self._check_params()  # ART's constructors call only their own.
        # Channels last is the layout that convolutions are fastest in (a fifth faster on CPUs, more in bf16).
        freeze(model)
        model.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _check_params(self) -> None:
        super()._check_params()
        clip_values = tuple(float(value) for value in self.clip_values)
        if clip_values != (0.0, 1.0):
            raise InvalidValueError("clip_values", "(0, 1), the range of the frames", str(clip_values))
        if self.postprocessing_defences:
            got = ", ".join(type(defence).__name__ for defence in self.postprocessing_defences)
            raise InvalidValueError("postprocessing_defences", "none, as boxes are not probabilities", got)

    @property
    def native_label_is_pytorch_format(self) -> bool:
        """Boxes are (x1, y1, x2, y2) in pixels."""
        return True

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one sample: any number of frames of any size, RGB."""
        return (None, None, None, 3)

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self._device  # type: ignore[no-any-return]

    @property
    def frame_operations(self) -> list[Preprocessor]:
        """Preprocessors of whole frames; with them, windows cannot be composed on their own."""
        active = [operation for operation in self.preprocessing_operations if operation.apply_predict]
        return [operation for operation in active if not isinstance(operation, RegionDefense)]

    @property
    def region_defenses(self) -> list[RegionDefense]:
        """Preprocessors of crops."""
        active = [operation for operation in self.preprocessing_operations if operation.apply_predict]
        return [operation for operation in active if isinstance(operation, RegionDefense)]

    def predict(self, x: Any, batch_size: int = 1, *, y_init: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Track one target per video.

        Args:
            x: Videos (N, F, H, W, 3), array or tensor, RGB in [0, 1], or an object array of N videos (F, H, W, 3).
            batch_size: Ignored; videos are tracked one after the other.
            y_init: The targets in frame 0, (N, 4), xyxy in pixels.

        Returns:
            Per video a dict with ``boxes`` (F, 4) float32, xyxy in pixels, frame 0 tracked as well, and ``scores`` (F,)
            float32, the network's confidence in each of them, in [0, 1]. Arrays for arrays; for tensors, tensors with a
            graph.

        Raises:
            InvalidValueError, InvalidTypeError: For input that the checks of `models.inputs` refuse.
        """
        refuse_keywords(kwargs, ["batch_size", "y_init"])
        boxes_xyxy = self._check_targets(x, y_init)
        # Arrays carry no gradients, so no graph is kept for them.
        with torch.set_grad_enabled(isinstance(x, Tensor) and torch.is_grad_enabled()):
            return [self._predict_video(video, box_xyxy) for video, box_xyxy in zip(x, boxes_xyxy, strict=True)]

    def track(self, frames: Frames, box_xyxy: Tensor) -> Tensor:
        """The boxes (F, 4), xyxy in pixels, float32, of the target whose box (4,) in frame 0 is given; keeps a graph.

        ``frames`` may come from any source; the preprocessors of whole frames are not applied to them.
        """
        steps = track(self.crops(frames, box_xyxy))
        return torch.stack([step.box_xyxy for step in steps]).to(self.device)

    def crops(self, frames: Frames, box_xyxy: Tensor) -> Crops:
        """The crops of one target, its box (4,) in frame 0 in pixels, behind the region defenses."""
        return Crops(self.model, frames, box_xyxy, self.settings, self.region_defenses)

    def loss_gradient(self, x: np.ndarray, y: Sequence[dict[str, Any]], **kwargs: Any) -> np.ndarray:
        """Gradient of `compute_loss` with respect to whole frames, through all preprocessors.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or an object array of N videos.
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, xyxy in pixels.
            kwargs: Ignored.

        Returns:
            Same shape as ``x``.
        """
        gradients = []
        for video, boxes_xyxy in zip(x, self._check_labelled(x, y), strict=True):
            leaf = as_tensor(video, self.device).detach().clone().requires_grad_()
            loss = self._loss(leaf, boxes_xyxy)
            gradients.append(torch.autograd.grad(loss, leaf)[0].cpu().numpy())
        if x.dtype != object:
            return np.stack(gradients)
        result = np.empty(len(gradients), dtype=object)
        result[:] = gradients
        return result

    def compute_loss(self, x: Any, y: Sequence[dict[str, Any]], **kwargs: Any) -> np.ndarray:
        """Sum of absolute box errors over frames and coordinates (SkeleVision, Eq. 3).

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or a sequence of N videos.
            y: See `loss_gradient`.
            kwargs: Ignored.

        Returns:
            One value per video in pixels, (N,) float32.
        """
        labels = self._check_labelled(x, y)
        with torch.no_grad():
            losses = [self._loss(as_tensor(video, self.device), boxes) for video, boxes in zip(x, labels, strict=True)]
        return np.array([float(loss) for loss in losses], dtype=np.float32)

    def get_activations(self, x: np.ndarray, layer: int | str, batch_size: int = 16, framework: bool = False) -> Any:
        """Backbone activations of images, such as crops or whole frames.

        Args:
            x: Images (N, H, W, 3) or videos (N, F, H, W, 3), RGB in [0, 1].
            layer: One of the backbone's ``layers``, or its number from 0.
            batch_size: Images per forward pass.
            framework: Return a tensor with a graph instead of an array.

        Returns:
            Features (M, C, h, w), M the number of images or of all frames.

        Raises:
            InvalidValueError: For a layer that does not exist.
        """
        images = as_tensor(x, self.device).flatten(0, -4).permute(0, 3, 1, 2).float()
        with torch.set_grad_enabled(framework):
            batches = torch.split(images, batch_size)
            parts = [self.model.backbone.activations(network_input(batch), layer) for batch in batches]
        activations = torch.cat(parts)
        return activations if framework else activations.cpu().numpy()

    def fit(self, x: Any, y: Any, **kwargs: Any) -> None:
        """Not implemented; see `armory_skelevision.training`."""
        raise NotImplementedError("training is done by `skelevision train`, not by the estimator")

    def _predict_video(self, video: Any, box_xyxy: Tensor) -> dict[str, Any]:
        frames = VideoFrames(preprocess(as_tensor(video, self.device).float(), self.frame_operations))
        result = self._predict_target(TemplateMatcher.embed_template(self.crops(frames, box_xyxy)))
        if isinstance(video, Tensor):
            return result
        return {key: value.cpu().numpy() for key, value in result.items()}

    def _predict_target(self, matcher: TemplateMatcher) -> dict[str, Tensor]:
        """All predictions for one target."""
        tracked = [(step.box_xyxy, step.score) for step in run_tracker(matcher, matcher.crops)]
        boxes_xyxy, scores = zip(*tracked, strict=True)
        return {"boxes": torch.stack(boxes_xyxy).to(self.device), "scores": torch.stack(scores).to(self.device)}

    def _loss(self, video: Tensor, boxes_xyxy: Any) -> Tensor:
        boxes_xyxy = torch.as_tensor(boxes_xyxy).to(self.device)
        frames = VideoFrames(preprocess(video.float(), self.frame_operations))
        loss: Tensor = (self.track(frames, boxes_xyxy[0]) - boxes_xyxy).abs().sum()
        return loss

    def _check_targets(self, x: Any, y_init: Any) -> list[Tensor]:
        if y_init is None:
            raise InvalidValueError("y_init", "the targets in frame 0, (N, 4) xyxy in pixels", "none")
        if len(y_init) != len(x):
            raise InvalidValueError("y_init", f"{len(x)} boxes, one per video", str(len(y_init)))
        for index, video in enumerate(x):
            check_video(video, f"x[{index}]", self.min_frames)
        return [
            check_box(box, video.shape[2], video.shape[1], f"y_init[{index}]")
            for index, (box, video) in enumerate(zip(y_init, x, strict=True))
        ]

    def _check_labelled(self, x: Any, y: Any) -> list[Any]:
        boxes = check_labels(y, x)
        self._check_targets(x, [label[0] for label in boxes])
        return boxes
