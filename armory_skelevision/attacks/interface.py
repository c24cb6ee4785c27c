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
from tqdm.auto import tqdm

from armory_skelevision.models.inputs import check_box, check_labels, check_video, refuse_keywords
from armory_skelevision.validation import check_arguments


class TrackerAttack(EvasionAttack):  # type: ignore[misc]
    """Base of attacks on trackers: settings are the parameters of the constructor, checked by its annotations.

    Args:
        estimator: One of ART's object trackers with ``loss_gradient``.
        settings: The settings, which become attributes.

    Raises:
        InvalidValueError: For a setting out of range.
    """

    _estimator_requirements: tuple[type, ...] = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = inspect.signature(cls.__init__).parameters
        cls.attack_params = [name for name in names if name not in ("self", "estimator", "settings")]

    def __init__(self, estimator: Any, **settings: Any) -> None:
        super().__init__(estimator=estimator)
        for name, value in settings.items():
            setattr(self, name, value)
        self._check_params()

    def _check_params(self) -> None:
        super()._check_params()
        check_arguments(type(self), vars(self))

    def _progress(self, steps: range, title: str, unit: str) -> Any:
        """A progress bar over ``steps``, shown on terminals if the setting ``verbose`` is true."""
        return tqdm(steps, desc=title, unit=unit, disable=None if self.verbose else True, leave=False)


class VideoAttack(TrackerAttack):
    """Base of attacks on each video on its own."""

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1].
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, xyxy in pixels; the first box of each starts the tracker.
            y_patch_metadata: What ARMORY passes to every attack; used only by attacks on keypoints.

        Returns:
            The attacked videos, same shape and dtype as ``x``.

        Raises:
            InvalidValueError: For videos or labels of another shape or range, naming the video.
            InvalidTypeError: For an unknown keyword argument, or videos that are not floating point.
        """
        targets = self._read_targets(x, y, y_patch_metadata, kwargs)
        attacked = [self._attack_video(video, target) for video, target in zip(x, targets, strict=True)]
        return stack_videos(attacked, x.dtype)

    def _read_targets(
        self, x: Any, y: Any, metadata: Sequence[Mapping[str, Any]] | None, unknown: Mapping[str, Any]
    ) -> Sequence[Any]:
        """What is attacked in each video: its true boxes (F, 4), xyxy in pixels."""
        check_call(x, unknown, ["x", "y", "y_patch_metadata"])
        return check_targets(x, y)

    @abstractmethod
    def _attack_video(self, video: np.ndarray, target: Any) -> np.ndarray:
        """The attacked video, same shape as ``video`` (F, H, W, 3)."""


def check_call(x: Any, unknown: Mapping[str, Any], known: Sequence[str], min_frames: int = 2) -> None:
    """Check the videos (N, F, H, W, 3) given to `generate`, and refuse keyword arguments that it has no parameter for.

    Args:
        x: The videos, RGB in [0, 1].
        unknown: The further keyword arguments.
        known: The names of its parameters.
        min_frames: Smallest number of frames of a video.

    Raises:
        InvalidValueError: For a video that `check_video` refuses.
        InvalidTypeError: For an unknown keyword, or videos that are not floating point.
    """
    refuse_keywords(unknown, known)
    for index, video in enumerate(x):
        check_video(video, f"x[{index}]", min_frames)


def check_targets(x: Any, y: Any) -> list[Any]:
    """Check the labels given to `generate`, and that each target is in frame 0 of its video; see `check_labels`.

    Returns:
        The boxes (F, 4) of each video, as they were given.
    """
    labels = check_labels(y, x)
    for index, (video, boxes) in enumerate(zip(x, labels, strict=True)):
        check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}].boxes[0]")
    return labels


def stack_videos(videos: Sequence[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    """Videos (F, H, W, 3) as one array (N, F, H, W, 3) of ``dtype``, or an object array (N,) if their sizes differ."""
    if len(videos) == 1:
        return videos[0][None].astype(dtype, copy=False)
    if len({video.shape for video in videos}) == 1:
        return np.stack(videos).astype(dtype, copy=False)
    result = np.empty(len(videos), dtype=object)
    result[:] = videos
    return result


def record_result(name: str, value: Any) -> None:
    """Add a value, of JSON's types, to the list ``name`` in the results of ARMORY's run; do nothing outside of one."""
    # Without an ARMORY run its modules are not imported, and importing them takes seconds.
    instrument = sys.modules.get("armory.instrument")
    if instrument is not None and instrument.get_hub().default_writers:
        instrument.get_hub().record(name, value)
