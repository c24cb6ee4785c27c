"""A Siamese tracker as an estimator of the Adversarial Robustness Toolbox, for ARMORY's scenarios and attacks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from art.estimators.pytorch import PyTorchEstimator
from torch import Tensor

from armory_skelevision.boxes import as_array
from armory_skelevision.models.box_loss import BoxLoss
from armory_skelevision.models.inputs import check_first_boxes, check_video, check_videos, refuse_keywords
from armory_skelevision.models.origin import Origin
from armory_skelevision.models.preprocessing import check_operations, preprocess
from armory_skelevision.models.regions import RegionDefense
from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import Crops, Frames, TemplateMatcher, TrackerSettings, VideoFrames, network_input
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.lockstep import track_boxes
from armory_skelevision.tracking.tracker import run_tracker, track
from armory_skelevision.validation import Count, InvalidTypeError, InvalidValueError, Settings, check_known, check_value

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


class SiameseEstimator(BoxLoss, ObjectTrackerMixin, PyTorchEstimator):  # type: ignore[misc]
    """A person tracker. Videos are RGB in [0, 1]; boxes are xyxy in pixels; nothing is kept between calls.

    Args:
        model: The network; moved to the device and frozen (see `networks.inference.freeze`).
        settings: Constants of the tracker, of the class for the network's kind of head; None for PySOT's.
        clip_values: Must be (0, 1).
        preprocessing_defences: ART preprocessors, applied to whole frames, and `RegionDefense`, applied to crops.
        postprocessing_defences: Must be empty: boxes have none.
        preprocessing: As in ART, applied after the defences.
        device_type: "gpu" (used where there is one) or "cpu".

    Raises:
        InvalidValueError: For another device type, settings for another kind of head, clip values other than (0, 1),
            or postprocessing defences.
        InvalidTypeError: For a network, settings or preprocessors of another type.
    """

    estimator_params = PyTorchEstimator.estimator_params + ["settings"]
    network_type: type = SiameseNetwork
    """What the network must be."""
    min_frames = 2
    """Smallest number of frames of a video: one for the template, and one to find the target in."""
    weights_path: Path | None = None
    """The file that the weights were read from, where it is known."""
    origin: Origin | None = None
    """What `load_tracker` was asked for, until another network or other settings are put in its place."""

    def __init__(
        self,
        model: SiameseNetwork,
        settings: TrackerSettings | None = None,
        clip_values: tuple[float, float] = (0.0, 1.0),
        preprocessing_defences: Any = None,
        postprocessing_defences: Any = None,
        preprocessing: Any = None,
        device_type: DeviceType = "gpu",
    ) -> None:
        settings = TrackerSettings() if settings is None else settings
        check_value("device_type", device_type, DeviceType)
        _check_network(model, self.network_type, settings)
        _check_clip_values(clip_values)
        check_operations(preprocessing_defences, preprocessing)
        super().__init__(
            model=model,
            clip_values=clip_values,
            channels_first=False,
            preprocessing_defences=preprocessing_defences,
            postprocessing_defences=postprocessing_defences,
            preprocessing=preprocessing,
            device_type=device_type,
        )
        if self.postprocessing_defences:
            got = ", ".join(type(defence).__name__ for defence in self.postprocessing_defences)
            raise InvalidValueError("postprocessing_defences", "none, as boxes are not probabilities", got)
        self.settings = settings
        # Channels last is the layout that convolutions are fastest in (a fifth faster on CPUs, more in bf16).
        freeze(model)
        model.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def set_params(self, **kwargs: Any) -> None:
        """Change parameters of the constructor, which checks and prepares them as at first.

        Args:
            kwargs: Any of `get_params`. ``channels_first`` is always false.

        Raises:
            InvalidValueError, InvalidTypeError: As from the constructor, and for an unknown parameter. Nothing is
                changed then.
        """
        check_known("", kwargs, self.estimator_params)
        given = {**self.get_params(), **kwargs}
        check_value("channels_first", given.pop("channels_first"), Literal[False])
        made = copy.copy(self)
        SiameseEstimator.__init__(made, **given)
        if made.model is not self.model or made.settings != self.settings:
            made.origin = made.weights_path = None
        self.__dict__.update(vars(made))

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
            x: Videos (N, F, H, W, 3), array or tensor, RGB in [0, 1], or a sequence of N videos (F, H, W, 3).
            batch_size: Videos that are tracked in lockstep. On a GPU several take hardly longer than one; they differ
                from those that are tracked one by one in the rounding alone.
            y_init: The targets in frame 0, (N, 4), xyxy in pixels.

        Returns:
            Per video a dict with ``boxes`` (F, 4) float32, xyxy in pixels, frame 0 tracked as well, and ``scores`` (F,)
            float32, the network's confidence in each of them, in [0, 1]. Arrays for arrays; for tensors, tensors with a
            graph.

        Raises:
            InvalidValueError, InvalidTypeError: For input that the checks of `models.inputs` refuse.
        """
        refuse_keywords(kwargs, ["batch_size", "y_init"])
        check_value("batch_size", batch_size, Count)
        videos = check_videos(x, self.min_frames)
        boxes_xyxy = check_first_boxes(y_init, videos)
        # Arrays carry no gradients, so no graph is kept for them.
        with_graph = torch.is_grad_enabled() and any(isinstance(video, Tensor) for video in videos)
        with torch.inference_mode(False), torch.set_grad_enabled(with_graph):
            targets = list(zip(videos, boxes_xyxy, strict=True))
            batches = (targets[start : start + batch_size] for start in range(0, len(targets), batch_size))
            return [result for batch in batches for result in self._predict_batch(batch)]

    def track(self, frames: Frames, box_xyxy: Tensor) -> Tensor:
        """The boxes (F, 4), xyxy in pixels, float32, of the target whose box (4,) in frame 0 is given; keeps a graph.

        ``frames`` may come from any source; the preprocessors of whole frames are not applied to them.
        """
        steps = track(self.crops(frames, box_xyxy))
        return torch.stack([step.box_xyxy for step in steps]).to(self.device)

    def crops(self, frames: Frames, box_xyxy: Tensor) -> Crops:
        """The crops of one target, its box (4,) in frame 0 in pixels, behind the region defenses."""
        return Crops(self.model.eval(), frames, box_xyxy, self.settings, self.region_defenses)

    def get_activations(self, x: np.ndarray, layer: int | str, batch_size: int = 16, framework: bool = False) -> Any:
        """Backbone activations of images, such as crops or whole frames.

        Args:
            x: Images (N, H, W, 3) or videos (N, F, H, W, 3), RGB floating point in [0, 1].
            layer: One of the backbone's ``layers``, or its number from 0.
            batch_size: Images per forward pass.
            framework: Return a tensor with a graph instead of an array.

        Returns:
            Features (M, C, h, w), M the number of images or of all frames.

        Raises:
            InvalidValueError, InvalidTypeError: For a layer that does not exist, or images that `check_video` refuses.
        """
        check_value("batch_size", batch_size, Count)
        listed = x.reshape(-1, *x.shape[2:]) if getattr(x, "ndim", 0) == 5 else x
        images = as_tensor(check_video(listed, min_frames=1), self.device).permute(0, 3, 1, 2).float()
        with torch.set_grad_enabled(framework):
            batches = torch.split(images, batch_size)
            parts = [self.model.backbone.activations(network_input(batch), layer) for batch in batches]
        activations = torch.cat(parts)
        return activations if framework else activations.cpu().numpy()

    def fit(self, x: Any, y: Any, **kwargs: Any) -> None:
        """Not implemented; see `armory_skelevision.training`."""
        raise NotImplementedError("training is done by `skelevision train`, not by the estimator")

    def _predict_batch(self, targets: Sequence[tuple[Any, Tensor]]) -> Iterator[dict[str, Any]]:
        """All predictions for the targets of some videos: pairs of a video and the box (4,) in its frame 0."""
        matchers = [self._match(video, box_xyxy) for video, box_xyxy in targets]
        for (video, _), matcher, (boxes_xyxy, scores) in zip(targets, matchers, _track_all(matchers), strict=True):
            found = {"boxes": boxes_xyxy, "scores": scores, **self._read_template(matcher)}
            result = {key: value.to(self.device) for key, value in found.items()}
            yield result if isinstance(video, Tensor) else {key: as_array(value) for key, value in result.items()}

    def _match(self, video: Any, box_xyxy: Tensor) -> TemplateMatcher:
        frames = VideoFrames(preprocess(as_tensor(video, self.device).float(), self.frame_operations))
        return TemplateMatcher.embed_template(self.crops(frames, box_xyxy))

    def _read_template(self, matcher: TemplateMatcher) -> dict[str, Tensor]:
        """Further predictions, from the template of a target: none."""
        return {}

    def _loss(self, video: Tensor, truth_xyxy: np.ndarray) -> Tensor:
        boxes_xyxy = as_tensor(truth_xyxy, self.device)
        frames = VideoFrames(preprocess(video.float(), self.frame_operations))
        loss: Tensor = (self.track(frames, boxes_xyxy[0]) - boxes_xyxy).abs().sum()
        return loss


def _track_all(matchers: Sequence[TemplateMatcher]) -> list[tuple[Tensor, Tensor]]:
    """The boxes (F, 4) and the scores (F,) of each video."""
    if len(matchers) > 1:
        return track_boxes(matchers)
    steps = list(run_tracker(matchers[0], matchers[0].crops))
    return [(torch.stack([step.box_xyxy for step in steps]), torch.stack([step.score for step in steps]))]


def _check_network(model: Any, network_type: type, settings: Any) -> None:
    for key, value, kind in (("model", model, network_type), ("settings", settings, TrackerSettings)):
        if not isinstance(value, kind):
            raise InvalidTypeError(key, f"an instance of {kind.__name__}", type(value).__name__)
    if any(weights.is_inference() for weights in model.parameters()):
        raise InvalidValueError("model", "a network that was made outside of torch.inference_mode", "one from inside")
    if model.per_position not in (None, settings.per_position):
        expected = f"those for a head with {model.per_position} proposals per position, as of {type(model).__name__}"
        raise InvalidValueError("settings", expected, f"{type(settings).__name__}, for {settings.per_position}")
    if model.stride not in (None, settings.stride):
        expected = f"those for a response map of stride {model.stride}, as of {type(model).__name__}"
        raise InvalidValueError("settings", expected, f"{type(settings).__name__}, for {settings.stride}")


def _check_clip_values(clip_values: Any) -> None:
    try:
        values = tuple(float(value) for value in clip_values)
    except (TypeError, ValueError):
        raise InvalidTypeError("clip_values", "(0, 1), the range of the frames", repr(clip_values)) from None
    if values != (0.0, 1.0):
        raise InvalidValueError("clip_values", "(0, 1), the range of the frames", str(values))
