"""Reads result files of ARMORY into records, whichever tracker was evaluated and whatever was measured."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.table import METRIC, REACH, VIDEO_NAMES, VIDEO_SIZES
from armory_skelevision.io import check_depth, printable, read_object
from armory_skelevision.results.confidence import with_confidence
from armory_skelevision.results.consistency import check_counts, check_frames, check_mean
from armory_skelevision.results.metric_names import (
    FRAME_BOXES,
    FRAME_IOU,
    FRAME_SCORES,
    IOU_IN_REACH,
    KEYPOINT_PCK,
    LOST_BUT_SURE,
    MASR,
    RELATIVE_PCK,
    SHARES,
    TRUE_BOXES,
)
from armory_skelevision.results.records import SIDES, RunResult, SideResult, summarize_videos, with_mean_in_reach
from armory_skelevision.results.values import (
    read_checkpoints,
    read_frame_boxes,
    read_frame_scores,
    read_frame_shares,
    read_hashes,
    read_names,
    read_numbers,
    read_share,
    read_sizes,
)
from armory_skelevision.validation import InvalidValueError, StructuredError

CHECKPOINTS = "adversarial_checkpoints"
"""Where an attack records the mean IoU of each video after fewer steps, by number of steps."""

_FRAMES = {
    FRAME_IOU: read_frame_shares,
    FRAME_SCORES: read_frame_scores,
    FRAME_BOXES: read_frame_boxes,
    TRUE_BOXES: read_frame_boxes,
}
_FRAME_COUNTS = (
    "mean_frame_iou",
    "scored_frames",
    "tracked_frames",
    "annotated_frames",
)  # what ARMORY writes beside frame metrics


def read_run(path: str | os.PathLike[str], inside: Path | None = None, requires_truth: bool = True) -> RunResult:
    """Read a result file of this package's trackers or of any other.

    A metric whose value is missing for a video (null, or NaN as ARMORY writes it) has no mean.

    Args:
        path: A JSON file that ARMORY wrote for a run whose metrics include `video_tracking_mean_iou`.
        inside: A folder that the file must be in, whatever links the path goes through; None for any place.
        requires_truth: Whether to refuse a result that has boxes, but neither true ones nor anything measured with
            them, such as `skelevision track` writes of a video without true boxes.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not JSON, contains no mean IoU, has a number that is out of range or none, or
            contradicts itself: a mean that is not that of its videos, or lists that are not of the same videos.
    """
    content = read_object(path, inside=inside, allow_nan=True)
    try:
        read = _read_content(content, requires_truth)
    except StructuredError as error:
        place = f"{printable(path)}: {error.key}" if error.key else printable(path)
        raise type(error)(place, error.expected, error.got, error.fix) from None
    return replace(read, name=printable(Path(path).stem), folder=Path(path).parent, path=Path(path))


def _read_content(content: Mapping[str, Any], requires_truth: bool) -> RunResult:
    results, config, timestamp = (content.get(key) for key in ("results", "config", "timestamp"))
    if not isinstance(results, dict):
        raise InvalidValueError("", "a result file of ARMORY", 'an object without "results"')
    if not isinstance(config, dict | None):
        raise InvalidValueError("config", "an object", f"{config!r:.80}")
    check_depth("config", config)
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float | None):
        raise InvalidValueError("timestamp", "seconds since 1970", f"{timestamp!r:.80}")
    sides = {side: _read_side(results, side) for side in SIDES}
    is_measured = any(METRIC in side.means or METRIC in side.missing for side in sides.values())
    if not is_measured and (requires_truth or not _is_without_truth(sides)):
        found, fix = ", ".join(sorted(results))[:300] or "none", 'name it in the config\'s metric "task"'
        raise InvalidValueError("", f"{METRIC} among the results", found, fix)
    checkpoints = read_checkpoints(CHECKPOINTS, results.get(CHECKPOINTS))
    names = read_names(VIDEO_NAMES, results.get(VIDEO_NAMES))
    reach = read_numbers(REACH, results.get(REACH), True)
    sizes = read_sizes(VIDEO_SIZES, results.get(VIDEO_SIZES))
    counts = {CHECKPOINTS: len(results.get(CHECKPOINTS) or ()), REACH: len(reach)}
    check_counts(sides, counts | {VIDEO_NAMES: len(names), VIDEO_SIZES: len(sizes)})
    for name, side in sides.items():
        check_frames(name, side)
    sides = {name: with_mean_in_reach(with_confidence(side, sides["benign"]), reach) for name, side in sides.items()}
    version = content.get("armory_version")
    return RunResult(
        name="",
        folder=Path(),
        config=config or {},
        benign=sides["benign"],
        adversarial=_with_relative_pck(sides["adversarial"], results.get(RELATIVE_PCK)),
        checkpoints=checkpoints,
        reach=reach if any(share is not None for share in reach) else (),
        names=names,
        sizes=sizes,
        timestamp=float(timestamp) if timestamp is not None and math.isfinite(timestamp) else 0.0,
        versions={"armory-testbed": str(version)} if version else {},
        weights=read_hashes("weights", content.get("weights")),
    )


def _is_without_truth(sides: Mapping[str, SideResult]) -> bool:
    """Whether a video was tracked, but nothing is known of where the target was."""
    has_truth = any(side.true_boxes_xyxy or side.frame_ious for side in sides.values())
    return bool(sides["benign"].boxes_xyxy) and not has_truth


def _read_side(results: Mapping[str, Any], side: str) -> SideResult:
    """All metrics of one side: values of videos and frames, and means."""
    videos: dict[str, tuple[float | None, ...]] = {}
    means: dict[str, float | None] = {}
    frames: dict[str, tuple[Any, ...]] = dict.fromkeys(_FRAMES, ())
    keypoints: dict[str, float] = {}
    seen: set[tuple[bool, str]] = set()
    for key, value in results.items():
        rest = key.removeprefix(f"{side}_")
        if rest == key or key == CHECKPOINTS or rest in _FRAME_COUNTS:
            continue
        is_mean = _is_mean(results, side, rest)
        # a dotted path may be written in full
        metric = (rest.removeprefix("mean_") if is_mean else rest).rsplit(".")[-1]
        if metric in (IOU_IN_REACH, LOST_BUT_SURE):
            raise InvalidValueError(key, "another name, since this metric is derived", f"{value!r:.80}")
        if (is_mean, metric) in seen:
            raise InvalidValueError(key, f"one record of {metric}", "several")
        seen.add((is_mean, metric))
        if metric == KEYPOINT_PCK:
            keypoints |= _read_keypoints(key, value)
        elif metric in _FRAMES:
            frames[metric] = _FRAMES[metric](key, value)
        elif numbers := read_numbers(key, value, metric in SHARES):
            if is_mean:
                means[metric] = _only(key, numbers)
            else:
                videos[metric] = numbers
    known = _with_means(side, summarize_videos(videos), means)
    return replace(
        known,
        means={**known.means, **keypoints},
        frame_ious=frames[FRAME_IOU],
        scores=frames[FRAME_SCORES],
        boxes_xyxy=frames[FRAME_BOXES],
        true_boxes_xyxy=frames[TRUE_BOXES],
    )


def _is_mean(results: Mapping[str, Any], side: str, name: str) -> bool:
    """Whether an entry is a mean over videos: not if its metric's own name begins with ``mean_``, as that of `MASR`."""
    return name.startswith("mean_") and name != MASR and f"{side}_mean_{name}" not in results


def _with_means(side: str, of_videos: SideResult, means: Mapping[str, float | None]) -> SideResult:
    """The means that a file has, each checked with the values of its videos, beside those of the other videos."""
    missing = of_videos.missing | {metric for metric, mean in means.items() if mean is None}
    given = {metric: mean for metric, mean in means.items() if mean is not None and metric not in missing}
    for metric in given.keys() & of_videos.means.keys():
        values = [value for value in of_videos.videos[metric] if value is not None]
        check_mean(f"{side}_mean_{metric}", given[metric], values)
    derived = {metric: mean for metric, mean in of_videos.means.items() if metric not in missing}
    return replace(of_videos, means={**derived, **given}, missing=missing)


def _with_relative_pck(attacked: SideResult, value: Any) -> SideResult:
    numbers = read_numbers(RELATIVE_PCK, value, False)
    if not numbers:
        return attacked
    percent = _only(RELATIVE_PCK, numbers)
    if percent is None:
        return replace(attacked, missing=attacked.missing | {RELATIVE_PCK})
    if percent < 0:
        raise InvalidValueError(RELATIVE_PCK, "at least 0 per cent", str(percent))
    return replace(attacked, means={**attacked.means, RELATIVE_PCK: percent / 100})


def _only(key: str, numbers: tuple[float | None, ...]) -> float | None:
    """The mean over all videos, of which there is one."""
    if len(numbers) != 1:
        raise InvalidValueError(key, "one number", f"{len(numbers)} of them")
    return numbers[0]


def _read_keypoints(key: str, value: Any) -> dict[str, float]:
    """PCK of each keypoint that is labelled at all: one object for all people together, in a list."""
    tables = value if isinstance(value, list) else []
    if len(tables) != 1 or not isinstance(tables[0], dict):
        raise InvalidValueError(key, "a list of one object, with the PCK of each keypoint", f"{value!r:.80}")
    shares = {name: read_share(f"{key}.{name}", share) for name, share in tables[0].items()}
    return {f"{KEYPOINT_PCK}.{name}": share for name, share in shares.items() if share is not None}
