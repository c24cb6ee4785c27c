"""The interface between attacks and their callers, ARMORY or ART: base classes, checked input, one array as output."""

from __future__ import annotations

import inspect
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor

from armory_skelevision.boxes import as_array
from armory_skelevision.io import progress
from armory_skelevision.models import ExternalEstimator, SiameseEstimator
from armory_skelevision.models.inputs import check_box, check_labels, check_videos, per_video, refuse_keywords
from armory_skelevision.networks.inference import with_gradients
from armory_skelevision.validation import InvalidTypeError, change_attributes, check_arguments, check_known

Metadata = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None
"""What ARMORY knows of each video besides the boxes; a dict alone is that of a single video."""


class TrackerAttack(EvasionAttack):  # type: ignore[misc]
    """Base of attacks on trackers: settings are the parameters of the constructor, checked by its annotations.

    Subclasses extend `_check_params` by what holds between settings, and by what is made of them.

    Args:
        estimator: One of ART's object trackers with ``loss_gradient``.
        settings: The settings, which become attributes.

    Raises:
        InvalidValueError: For a setting out of range.
    """

    _estimator_requirements: tuple[type, ...] = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)
    records = True
    """Whether what it knows of a video goes into ARMORY's results; not where another tracker is evaluated."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "generate" in vars(cls):
            cls.generate = with_gradients(cls.generate)
        names = inspect.signature(cls.__init__).parameters
        cls.attack_params = [name for name in names if name not in ("self", "estimator", "settings")]

    def __init__(self, estimator: Any, **settings: Any) -> None:
        if isinstance(estimator, ExternalEstimator):
            self._refuse_boxes_only(estimator)
        super().__init__(estimator=estimator)
        self.__dict__.update(settings)
        self._check_params()

    def set_params(self, **kwargs: Any) -> None:
        """Change settings, which are checked as by the constructor.

        Raises:
            InvalidValueError: As from the constructor, and for an unknown setting. Nothing is changed then.
        """
        check_known("", kwargs, self.attack_params)
        change_attributes(self, kwargs, self._check_params)

    def _check_params(self) -> None:
        super()._check_params()
        check_arguments(type(self), vars(self))

    def _refuse_boxes_only(self, estimator: ExternalEstimator) -> None:
        """Refuse an external tracker that lacks what the attack works with, with the reason (`InvalidTypeError`)."""
        if self.is_estimator_valid(estimator, self._estimator_requirements):
            return
        inside = any(issubclass(each, SiameseEstimator) for each in self._estimator_requirements)
        needed = "whose network this package runs" if inside else "with gradients"
        fix = "attack it by IoUAttack, or show it what was made on another tracker (Transfer)"
        fix += "" if inside else "; with a method track_tensor it has gradients"
        got = f"{estimator.name}, of which only boxes are known"
        raise InvalidTypeError("estimator", f"a tracker {needed}, for {type(self).__name__}", got, fix)

    def _progress(self, steps: range, title: str, unit: str) -> Any:
        """Progress over ``steps``, if the setting ``verbose`` is true: a bar on terminals, else a line a minute."""
        return progress(steps, title, unit=unit, disable=not self.verbose)

    def _run_steps(self, algorithm: Any, title: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The result of one of ART's attacks on a `PerFrameEstimator`, with a step of progress for each gradient."""
        with self._progress(range(self.max_iter), title, "step") as bar:
            algorithm.estimator.on_step = bar.update
            return np.asarray(algorithm.generate(x=x, y=y))


class VideoAttack(TrackerAttack):
    """Base of attacks on each video on its own."""

    min_frames = 2
    """Smallest number of frames of a video."""

    def generate(self, x: Any, y: Any = None, y_patch_metadata: Metadata = None, **kwargs: Any) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], array or tensor, or a sequence of videos of any sizes.
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, or the dict of a single video; xyxy in pixels. The first box of
                each starts the tracker.
            y_patch_metadata: What ARMORY passes to every attack: a dict for each video, or that of a single one; used
                only by attacks on keypoints.

        Returns:
            The attacked videos, same shape and dtype as ``x``.

        Raises:
            InvalidValueError: For videos or labels of another shape or range, naming the video.
            InvalidTypeError: For an unknown keyword argument, or videos that are not floating point.
        """
        videos = check_call(x, kwargs, ["x", "y", "y_patch_metadata"], self.min_frames)
        targets = self._read_targets(videos, y, y_patch_metadata)
        attacked = [self._attack_video(video, target) for video, target in zip(videos, targets, strict=True)]
        return stack_videos(attacked, dtype_of(x, videos))

    def _read_targets(self, videos: Sequence[np.ndarray], y: Any, metadata: Any) -> Sequence[Any]:
        """What is attacked in each video: its true boxes (F, 4), xyxy in pixels."""
        return check_targets(videos, y)

    @abstractmethod
    def _attack_video(self, video: np.ndarray, target: Any) -> np.ndarray:
        """The attacked video, same shape as ``video`` (F, H, W, 3)."""


def check_call(x: Any, unknown: Mapping[str, Any], known: Sequence[str], min_frames: int = 2) -> list[np.ndarray]:
    """Check the videos (N, F, H, W, 3) given to `generate`, and refuse keyword arguments that it has no parameter for.

    Args:
        x: The videos, RGB in [0, 1], as `check_videos` takes them.
        unknown: The further keyword arguments.
        known: The names of its parameters.
        min_frames: Smallest number of frames of a video.

    Returns:
        The videos as arrays, in a layout that PyTorch can take.

    Raises:
        InvalidValueError: For a video that `check_video` refuses.
        InvalidTypeError: For an unknown keyword, or videos that are not floating point.
    """
    refuse_keywords(unknown, known)
    videos = check_videos(x, min_frames)
    return [as_array(video) if isinstance(video, Tensor) else video for video in videos]


def check_targets(x: Any, y: Any) -> list[np.ndarray]:
    """Check the labels given to `generate`, and that each target is in frame 0 of its video; see `check_labels`.

    Returns:
        The boxes (F, 4) of each video.
    """
    labels = check_labels(y, x)
    for index, (video, boxes) in enumerate(zip(x, labels, strict=True)):
        check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}].boxes[0]")
    return labels


def check_metadata(given: Any, videos: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Check ``y_patch_metadata``: a dict for each video, or the dict of a single one, as data sets have it.

    Raises:
        InvalidValueError: If there are none, or not as many as videos.
        InvalidTypeError: For something else than dicts.
    """
    checked = per_video(given, videos, "y_patch_metadata")
    for index, each in enumerate(checked):
        if not isinstance(each, Mapping):
            raise InvalidTypeError(f"y_patch_metadata[{index}]", "a dict", type(each).__name__)
    return checked


def dtype_of(x: Any, videos: Sequence[np.ndarray]) -> np.dtype[Any]:
    """The dtype of attacked videos: that of the array that they came in, else the most precise of theirs."""
    return x.dtype if isinstance(x, np.ndarray) else np.result_type(*videos)


def stack_videos(videos: Sequence[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    """Videos (F, H, W, 3) as one array (N, F, H, W, 3) of ``dtype``.

    If their sizes differ, or for the dtype object, it is an object array (N,) of videos.
    """
    if dtype != np.dtype(object) and len({video.shape for video in videos}) == 1:
        return (videos[0][None] if len(videos) == 1 else np.stack(videos)).astype(dtype, copy=False)
    result = np.empty(len(videos), dtype=object)
    for index, video in enumerate(videos):
        result[index] = video
    return result


def record_result(name: str, value: Any) -> None:
    """Add a value, of JSON's types, to the list ``name`` in the results of ARMORY's run; do nothing outside of one."""
    # Without an ARMORY run its modules are not imported, and importing them takes seconds.
    instrument = sys.modules.get("armory.instrument")
    if instrument is not None and instrument.get_hub().default_writers:
        instrument.get_hub().record(name, value)
