"""The interface between attacks and their callers, ARMORY or ART: checked input, one array as output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from armory_skelevision.models.inputs import check_box, check_labels, check_video, refuse_keywords


def check_call(x: Any, unknown: Mapping[str, Any], known: Sequence[str], min_frames: int = 2) -> None:
    """Check the videos and the keyword arguments of `generate`.

    Args:
        x: Videos (N, F, H, W, 3), RGB in [0, 1].
        unknown: Keyword arguments that `generate` has no parameter for.
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
    """Check the labels given to `generate`, and that each target is in frame 0 of its video.

    Args:
        x: Videos (N, F, H, W, 3).
        y: True boxes, ``[{"boxes": (F, 4)}, …]``, xyxy in pixels.

    Returns:
        The boxes (F, 4) of each video, as they were given.

    Raises:
        InvalidValueError: For labels that do not fit the videos, naming the video.
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
    """Add a value to a list in the result file of ARMORY's run; does nothing outside of such a run.

    Args:
        name: Key of the list under "results".
        value: Anything that JSON can represent.
    """
    # Without an ARMORY run its modules are not imported, and importing them takes seconds.
    instrument = sys.modules.get("armory.instrument")
    if instrument is not None and instrument.get_hub().default_writers:
        instrument.get_hub().record(name, value)
