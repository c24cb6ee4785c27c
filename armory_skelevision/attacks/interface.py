"""The door between attacks and their callers, ARMORY or ART: what comes in is checked, what goes out is one array."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from armory_skelevision.models.inputs import check_box, check_labels, check_video


def check_call(x: Any, unknown: Mapping[str, Any], known: Sequence[str], fewest: int = 2) -> None:
    """Check the videos given to `generate`, and that no keyword was given that it does not know.

    Args:
        x: Videos (N, F, H, W, 3), RGB in [0, 1], F at least ``fewest``.
        unknown: Keyword arguments that `generate` has no parameter for.
        known: The names of its parameters.
        fewest: Number of frames that a video must have.

    Raises:
        ValueError: For a video that `models.validation` refuses.
        TypeError: For an unknown keyword, or videos that are not floating point.
    """
    if unknown:
        raise TypeError(f"generate: unknown keywords {sorted(unknown)}; known are {list(known)}")
    for index, video in enumerate(x):
        check_video(video, f"x[{index}]", fewest)


def check_targets(x: Any, y: Any) -> list[Any]:
    """Check the labels given to `generate`, and that each target is in frame 0 of its video.

    Args:
        x: Videos (N, F, H, W, 3).
        y: True boxes, ``[{"boxes": (F, 4)}, …]``, xyxy in pixels.

    Returns:
        The boxes (F, 4) of each video, as they were given.

    Raises:
        ValueError: For labels that do not fit the videos, naming the video.
    """
    labels = check_labels(y, x)
    for index, (video, boxes) in enumerate(zip(x, labels, strict=True)):
        check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}] frame 0")
    return labels


def stack_videos(videos: Sequence[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    """Videos (F, H, W, 3) as one array (N, F, H, W, 3), or as an object array (N,) where their sizes differ."""
    if len(videos) == 1:
        return videos[0][None].astype(dtype, copy=False)
    if len({video.shape for video in videos}) == 1:
        return np.stack(videos).astype(dtype, copy=False)
    result = np.empty(len(videos), dtype=object)
    result[:] = videos
    return result


def record_result(name: str, value: Any) -> None:
    """Add a value to the list of that name in the result file of ARMORY's run; outside of one, nothing happens.

    Args:
        name: The key under "results".
        value: Anything that JSON can hold.
    """
    # Whoever uses ART alone has not imported ARMORY, and need not wait for it here.
    instrument = sys.modules.get("armory.instrument")
    if instrument is not None and instrument.get_hub().default_writers:
        instrument.get_hub().record(name, value)
