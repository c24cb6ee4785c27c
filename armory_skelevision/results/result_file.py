"""Reads result files of ARMORY into records, whichever tracker was evaluated and whatever was measured."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.records import SIDES, RunResult, SideResult
from armory_skelevision.validation import InvalidValueError, MissingFileError

FRAME_IOU, FRAME_BOXES, TRUE_BOXES = "frame_iou", "frame_boxes", "true_boxes"
"""Metrics that hold a value or a box for each frame of each video."""

KEYPOINT_PCK = "keypoint_pck"
"""The metric that holds the PCK of each keypoint; among the means it is "keypoint_pck.nose" and so on."""

RELATIVE_PCK = "relative_pck"
"""PCK under attack divided by benign PCK; ARMORY's results hold it in per cent, and for neither side."""

CHECKPOINTS = "adversarial_checkpoints"
"""Where an attack records the mean IoU of each video after fewer steps, by number of steps."""

_FRAME_COUNTS = ("mean_frame_iou", "tracked_frames", "annotated_frames")  # what ARMORY writes beside frame metrics


def read_run(path: str | os.PathLike[str]) -> RunResult:
    """Read a result file of this package's trackers or of any other.

    Args:
        path: A JSON file that ARMORY wrote for a run whose metrics include `video_tracking_mean_iou`.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not JSON, contains no mean IoU, or a value of it is not a finite number.
    """
    content = read_object(path, "a result file of ARMORY")
    results = content.get("results")
    if not isinstance(results, dict):
        raise InvalidValueError(str(path), "a result file of ARMORY", 'an object without "results"')
    benign, adversarial = (_read_side(path, results, side) for side in SIDES)
    if benign.mean_iou is None and adversarial.mean_iou is None:
        fix = 'name it in the config\'s metric "task"'
        raise InvalidValueError(str(path), f"{METRIC} among the results", ", ".join(sorted(results)) or "none", fix)
    relative = list(_numbers(path, RELATIVE_PCK, results.get(RELATIVE_PCK), strict=True))
    if relative:
        adversarial = replace(adversarial, means={**adversarial.means, RELATIVE_PCK: relative[-1] / 100})
    config, timestamp, version = (content.get(key) for key in ("config", "timestamp", "armory_version"))
    return RunResult(
        name=Path(path).stem,
        folder=Path(path).parent,
        config=config if isinstance(config, dict) else {},
        benign=benign,
        adversarial=adversarial,
        checkpoints=_read_checkpoints(path, results.get(CHECKPOINTS)),
        timestamp=float(timestamp) if isinstance(timestamp, int | float) else 0.0,
        versions={"armory-testbed": str(version)} if version else {},
    )


def read_object(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read a JSON file that must contain an object; messages call it ``what``.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not JSON, or not an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(str(path), what, "no file") from None
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(str(path), what, f"a file that is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InvalidValueError(str(path), what, f"JSON of type {type(content).__name__}")
    return content


def _read_side(path: str | os.PathLike[str], results: Mapping[str, Any], side: str) -> SideResult:
    means: dict[str, float] = {}
    videos: dict[str, tuple[float, ...]] = {}
    frames: dict[str, tuple[Any, ...]] = dict.fromkeys((FRAME_IOU, FRAME_BOXES, TRUE_BOXES), ())
    for key, value in results.items():
        if not key.startswith(f"{side}_") or key == CHECKPOINTS:
            continue
        rest = key.removeprefix(f"{side}_")
        metric = rest.removeprefix("mean_").rsplit(".")[-1]  # a dotted path may be written in full
        numbers = list(_numbers(path, key, value, strict=metric in (METRIC, *frames)))
        if metric == KEYPOINT_PCK:
            means.update(_read_keypoints(value))
        elif rest in _FRAME_COUNTS or not numbers:
            continue
        elif metric in frames:
            frames[metric] = tuple(_frames_of(value, _is_number if metric == FRAME_IOU else _is_box))
        elif rest.startswith("mean_"):
            means[metric] = numbers[-1]
        else:
            videos[metric] = tuple(numbers)
    derived = {metric: math.fsum(values) / len(values) for metric, values in videos.items()}
    return SideResult({**derived, **means}, videos, *frames.values())


def _read_keypoints(value: Any) -> dict[str, float]:
    """PCK of each keypoint that is labelled at all: one object for all people together, in a list."""
    tables = [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []
    shares = [pair for table in tables for pair in table.items()]
    return {f"{KEYPOINT_PCK}.{keypoint}": float(share) for keypoint, share in shares if _is_number(share)}


def _numbers(path: str | os.PathLike[str], key: str, value: Any, strict: bool) -> Iterator[float]:
    """All numbers of a metric: ARMORY records a list of records, each of which may be a list of videos."""
    if isinstance(value, list):
        for item in value:
            yield from _numbers(path, key, item, strict)
    elif _is_number(value):
        yield float(value)
    elif strict and value is not None:
        raise InvalidValueError(f"{path}: {key}", "finite numbers", repr(value))


def _read_checkpoints(path: str | os.PathLike[str], value: Any) -> dict[int, tuple[float, ...]]:
    """Mean IoUs by the numbers of steps that every video has; {} where nothing was recorded."""
    if not value:
        return {}
    try:
        videos = [{int(steps): float(iou) for steps, iou in video.items()} for video in value]
    except (TypeError, ValueError, AttributeError):
        raise InvalidValueError(f"{path}: {CHECKPOINTS}", "a mean IoU by steps for each video", repr(value)) from None
    common = set.intersection(*(set(video) for video in videos))
    return {steps: tuple(video[steps] for video in videos) for steps in sorted(common)}


def _frames_of(value: Any, is_frame: Callable[[Any], bool]) -> Iterator[tuple[Any, ...]]:
    """The innermost lists of frames, one for each video."""
    if not isinstance(value, list) or not value:
        return
    if all(map(is_frame, value)):
        yield tuple(tuple(frame) if isinstance(frame, list) else frame for frame in value)
    else:
        for item in value:
            yield from _frames_of(item, is_frame)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
