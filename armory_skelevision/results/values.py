"""The values of a metric in a result file, in the lists by batch and video that ARMORY makes of them.

ARMORY writes NaN where a metric has no value, which JSON knows as null: both are read as missing. A missing value keeps
its place, so that every other one stays with its video and frame.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from armory_skelevision.results.records import Box
from armory_skelevision.validation import InvalidValueError, Range, accepts

MAX_PIXELS = 1e9
"""Largest coordinate of a box, in pixels."""

MAX_NUMBER = 1e100
"""Largest value of a metric; beyond it no mean and spread could be computed."""

MAX_VIDEOS = 100_000
"""Most videos of one result."""

_Side = Annotated[int, Range(1, 1_000_000)]
_STEPS = re.compile("0|[1-9][0-9]{0,14}")
_ROUNDING = 1e-6  # of numbers that were computed in 32 bits
_NAN = float("nan")


def read_numbers(key: str, value: Any, is_share: bool) -> tuple[float | None, ...]:
    """The numbers of a metric, None for a missing one.

    Args:
        key: The metric's name, for messages.
        value: What the file has: a list of numbers, or of lists of them, or a number by itself.
        is_share: Whether the metric is known, and its values are in [0, 1].

    Returns:
        As many as there are values; () for nothing, and for an unknown metric without any number.

    Raises:
        InvalidValueError: For a number out of range, and for something else among numbers.
    """
    leaves = [] if value is None or value == [] else list(_leaves(value))
    _check_count(key, leaves)
    wrong = [leaf for leaf in leaves if leaf is not None and not _is_number(leaf)]
    if wrong:
        if is_share or any(map(_is_number, leaves)):
            raise InvalidValueError(key, "numbers", _show(wrong[0]))
        return ()
    if is_share:
        return tuple(read_share(key, leaf) for leaf in leaves)
    if any(leaf is not None and MAX_NUMBER < abs(leaf) < math.inf for leaf in leaves):
        raise InvalidValueError(key, f"numbers of at most {MAX_NUMBER:g}", _show(max(filter(None, leaves), key=abs)))
    # infinity, as of a ratio to nothing, is no value that a mean could be taken of
    return tuple(float(leaf) if leaf is not None and math.isfinite(leaf) else None for leaf in leaves)


def read_share(key: str, value: Any) -> float | None:
    """A number in [0, 1]; None for a missing one (`InvalidValueError` for anything else)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not _is_number(value) or not -_ROUNDING <= value <= 1 + _ROUNDING:
        raise InvalidValueError(key, "a number in [0, 1]", _show(value))
    return float(value)


def read_frame_shares(key: str, value: Any) -> tuple[tuple[float, ...], ...]:
    """For each video a number in [0, 1] for each frame, NaN for a missing one; otherwise as `read_numbers`."""
    videos = _read_videos(key, value, lambda frame: frame is None or _is_number(frame))
    shares = [[read_share(key, frame) for frame in video] for video in videos]
    return tuple(tuple(_NAN if share is None else share for share in video) for video in shares)


def read_frame_scores(key: str, value: Any) -> tuple[tuple[float, ...], ...]:
    """For each video the tracker's score of each frame, NaN for a missing one; otherwise as `read_numbers`.

    () if there is no score at all: the tracker gives none.
    """
    videos = _read_videos(key, value, lambda frame: frame is None or _is_number(frame))
    scores = tuple(tuple(_NAN if frame is None else _read_score(key, frame) for frame in video) for video in videos)
    return () if all(math.isnan(score) for video in scores for score in video) else scores


def read_frame_boxes(key: str, value: Any) -> tuple[tuple[Box, ...], ...]:
    """For each video the box of each frame, xyxy in pixels, NaN for a missing one; otherwise as `read_numbers`."""
    videos = _read_videos(key, value, lambda frame: frame is None or _is_box(frame))
    return tuple(tuple(_read_box(key, frame) for frame in video) for video in videos)


def read_checkpoints(key: str, value: Any) -> dict[int, tuple[float | None, ...]]:
    """Mean IoUs of the videos by number of steps, None where a video has none; {} where nothing was recorded."""
    videos = value or []
    if not isinstance(videos, list) or not all(isinstance(video, Mapping) for video in videos):
        raise InvalidValueError(key, "a mean IoU by number of steps, for each video", _show(value))
    _check_count(key, videos)
    steps = {name for video in videos for name in video}
    for name in steps:
        if not _STEPS.fullmatch(name):
            raise InvalidValueError(key, "numbers of steps", _show(name))
    by_steps = {int(name): [read_share(f"{key}.{name}", video.get(name)) for video in videos] for name in steps}
    return {count: tuple(by_steps[count]) for count in sorted(by_steps)}


def read_names(key: str, value: Any) -> tuple[str, ...]:
    """The names of the videos; () where none were recorded (`InvalidValueError` for anything else)."""
    names = [] if value is None or value == [] else list(_leaves(value))
    _check_count(key, names)
    if not all(isinstance(name, str) for name in names):
        raise InvalidValueError(key, "a name for each video", _show(value))
    return tuple(names)


def read_hashes(key: str, value: Any) -> dict[str, str]:
    """SHA-256 of files by name; {} where none were recorded (`InvalidValueError` for anything else)."""
    hashes = {} if value is None else value
    if not isinstance(hashes, dict) or not all(
        isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes.values()
    ):
        raise InvalidValueError(key, "a SHA-256 for each file", _show(value))
    return hashes


def read_sizes(key: str, value: Any) -> tuple[tuple[int, int], ...]:
    """Width and height of each video in pixels; () where none were recorded (`InvalidValueError` for anything else)."""
    sizes = value or []
    if not isinstance(sizes, list) or not all(accepts(list[_Side], size) and len(size) == 2 for size in sizes):
        raise InvalidValueError(key, "width and height of each video, whole numbers of pixels", _show(value))
    _check_count(key, sizes)
    return tuple((width, height) for width, height in sizes)


def _leaves(value: Any) -> Iterator[Any]:
    """What lists within lists contain, in order; an empty list, in which a value is absent, as itself."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, list) and item:
            left.extend(reversed(item))
        else:
            yield item


def _read_videos(key: str, value: Any, is_frame: Callable[[Any], bool]) -> list[list[Any]]:
    """The innermost lists, each of the frames of a video."""
    videos, left = [], [] if value is None or value == [] else [value]
    while left:
        item = left.pop()
        if not isinstance(item, list) or not item:
            raise InvalidValueError(key, "a list of frames for each video", _show(item))
        if all(map(is_frame, item)):
            videos.append(item)
        else:
            left.extend(reversed(item))
        _check_count(key, videos)
    return videos


def _check_count(key: str, values: Sequence[Any]) -> None:
    if len(values) > MAX_VIDEOS:
        raise InvalidValueError(key, f"values of at most {MAX_VIDEOS} videos", f"more, {len(values)}")


def _read_score(key: str, score: float) -> float:
    if abs(score) > MAX_NUMBER:
        raise InvalidValueError(key, f"numbers of at most {MAX_NUMBER:g}", _show(score))
    return _NAN if math.isnan(score) else float(score)


def _read_box(key: str, box_xyxy: Any) -> Box:
    if box_xyxy is None or any(corner is None or math.isnan(corner) for corner in box_xyxy):
        return (_NAN, _NAN, _NAN, _NAN)
    if any(abs(corner) > MAX_PIXELS for corner in box_xyxy):
        raise InvalidValueError(key, f"pixels of at most {MAX_PIXELS:g}", _show(box_xyxy))
    x1, y1, x2, y2 = map(float, box_xyxy)
    return (x1, y1, x2, y2)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(corner is None or _is_number(corner) for corner in value)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, which NaN and infinity are, too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show(value: Any) -> str:
    return f"{value!r:.80}"
