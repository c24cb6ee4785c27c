"""The door between attacks and their callers, ARMORY or ART: what comes in is checked, what goes out is one array."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from armory_skelevision.models.inputs import check_video


def check_call(x: Any, unknown: Mapping[str, Any], known: Sequence[str]) -> None:
    """Check the videos given to `generate`, and that no keyword was given that it does not know.

    Raises:
        ValueError: For a video that `models.validation` refuses.
        TypeError: For an unknown keyword, or videos that are not floating point.
    """
    if unknown:
        raise TypeError(f"generate: unknown keywords {sorted(unknown)}; known are {list(known)}")
    for index, video in enumerate(x):
        check_video(video, f"x[{index}]")


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
