"""What a result file of ARMORY holds, as plain records: whoever made the run, and whatever it measured."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.table import METRIC

FRAMES = "frame_iou"
"""The metric that keeps the IoU of each frame."""

KEYPOINT_PCK = "keypoint_pck"
"""The metric that keeps the PCK of each keypoint; among the means it is "keypoint_pck.nose" and so on."""

RELATIVE_PCK = "relative_pck"
"""PCK under attack as a share of that without; ARMORY's results have it in per cent, and on neither side."""

CHECKPOINTS = "adversarial_checkpoints"
"""Where a patch attack records what fewer steps would have come to: a mean IoU by steps, for each video."""

SIDES = ("benign", "adversarial")


@dataclass(frozen=True)
class Scores:
    """One side of a run: without the attack, or under it.

    Attributes:
        means: By metric, its mean over the videos; IoU in [0, 1].
        videos: By metric, its value of each video. Empty where ARMORY was told to keep means alone.
        frame_ious: Of each video, the IoU of each frame; empty where it was not measured.
    """

    means: Mapping[str, float] = field(default_factory=dict)
    videos: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    frame_ious: tuple[tuple[float, ...], ...] = ()

    @property
    def mean_iou(self) -> float | None:
        """In [0, 1]; None where this side was skipped."""
        return self.means.get(METRIC)

    @property
    def video_ious(self) -> tuple[float, ...]:
        """Mean IoU of each video, in [0, 1]; empty where only their mean was kept."""
        return self.videos.get(METRIC, ())


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: The result file.
        config: ARMORY's config of the run, as it stands in the file.
        benign: What was measured without the attack.
        adversarial: What was measured under it.
        checkpoints: By number of steps, the mean IoU of each video under an attack that had ended there.
        armory_version: As the file says; "" if it does not.
        timestamp: Of the run's start, seconds since 1970; 0 if the file does not say.
    """

    path: Path
    config: Mapping[str, Any]
    benign: Scores
    adversarial: Scores
    checkpoints: Mapping[int, tuple[float, ...]]
    armory_version: str
    timestamp: float

    def side(self, name: str) -> Scores:
        """The scores of "benign" or "adversarial"."""
        return self.benign if name == "benign" else self.adversarial


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read a result file, of our trackers or others.

    Args:
        path: A JSON file as ARMORY writes it, of a run whose metrics include `video_tracking_mean_iou`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, holds no mean IoU, or one that is no number.
    """
    content = read_object(path, "a result file of ARMORY")
    results = content.get("results")
    if not isinstance(results, dict):
        raise ValueError(f'{path} is not a result file of ARMORY: it has no "results"')
    benign, adversarial = (_read_side(path, results, side) for side in SIDES)
    if benign.mean_iou is None and adversarial.mean_iou is None:
        raise ValueError(f'{path} holds no {METRIC}: the config\'s metric "task" must name it; found {sorted(results)}')
    relative = list(_numbers(path, RELATIVE_PCK, results.get(RELATIVE_PCK), strict=True))
    if relative:
        adversarial = replace(adversarial, means={**adversarial.means, RELATIVE_PCK: relative[-1] / 100})
    config, timestamp = content.get("config"), content.get("timestamp")
    return Run(
        path=Path(path),
        config=config if isinstance(config, dict) else {},
        benign=benign,
        adversarial=adversarial,
        checkpoints=_read_checkpoints(path, results.get(CHECKPOINTS)),
        armory_version=str(content.get("armory_version", "")),
        timestamp=float(timestamp) if isinstance(timestamp, int | float) else 0.0,
    )


def read_object(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else; ``what`` says in the message what it should have been.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not {what}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not {what}: expected an object, got {type(content).__name__}")
    return content


def _read_side(path: str | os.PathLike[str], results: Mapping[str, Any], side: str) -> Scores:
    means: dict[str, float] = {}
    videos: dict[str, tuple[float, ...]] = {}
    frames: tuple[tuple[float, ...], ...] = ()
    for key, value in results.items():
        if not key.startswith(f"{side}_") or key == CHECKPOINTS:
            continue
        rest = key.removeprefix(f"{side}_")
        mean = rest.startswith("mean_")
        metric = rest.removeprefix("mean_").rsplit(".")[-1]  # a dotted path may stand there whole
        numbers = list(_numbers(path, key, value, strict=metric in (METRIC, FRAMES)))
        if metric == KEYPOINT_PCK:
            means.update(_read_keypoints(value))
        elif metric == FRAMES:
            frames = frames if mean else tuple(_frame_lists(value))
        elif numbers and mean:
            means[metric] = numbers[-1]
        elif numbers:
            videos[metric] = tuple(numbers)
    derived = {metric: math.fsum(values) / len(values) for metric, values in videos.items()}
    return Scores({**derived, **means}, videos, frames)


def _read_keypoints(value: Any) -> dict[str, float]:
    """PCK of each keypoint that was labelled at all: a table in a list, since it is of all people together."""
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
        raise ValueError(f"{path} is damaged: {key} holds {value!r}, expected finite numbers")


def _read_checkpoints(path: str | os.PathLike[str], value: Any) -> dict[int, tuple[float, ...]]:
    """Steps that every video has; {} where nothing was recorded."""
    if not value:
        return {}
    try:
        videos = [{int(steps): float(iou) for steps, iou in video.items()} for video in value]
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"{path} is damaged: {CHECKPOINTS}: expected a mean IoU by steps for each video") from None
    common = set.intersection(*(set(video) for video in videos))
    return {steps: tuple(video[steps] for video in videos) for steps in sorted(common)}


def _frame_lists(value: Any) -> Iterator[tuple[float, ...]]:
    """The innermost lists, one for each video."""
    if isinstance(value, list) and value:
        if all(_is_number(item) for item in value):
            yield tuple(map(float, value))
        else:
            for item in value:
                yield from _frame_lists(item)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
