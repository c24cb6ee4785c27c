"""Two results or two sweeps side by side: paired by video, with everything else that differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.intervals import Estimate, estimate, paired_difference
from armory_skelevision.results.labels import as_text, flatten, varying_keys
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.records import SIDES, RunResult
from armory_skelevision.results.summary import ALL, newest, tabulate
from armory_skelevision.validation import InvalidValueError, StructuredError


class Difference(NamedTuple):
    """A key whose value is not the same in A and B."""

    key: str
    first: str
    second: str
    is_expected: bool


@dataclass(frozen=True)
class Contrast:
    """One metric on one side of A and B, over the same videos.

    Attributes:
        side: "benign" or "adversarial".
        metric: Its name in result files.
        first: A's mean over the videos.
        second: B's.
        change: Mean of B - A over the videos, with its paired t-interval.
    """

    side: str
    metric: str
    first: float
    second: float
    change: Estimate


@dataclass(frozen=True)
class PairedRuns:
    """A run of A and the run of B that corresponds to it; ``videos`` has the values of both, by video."""

    name: str
    first: RunResult
    second: RunResult
    videos: pd.DataFrame
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        pairs: One for each pair of runs.
        overall: Over all pairs, with each video's values averaged over the pairs first; empty for a single pair.
        differences: Keys that differ between A and B.
        problems: What could not be read or paired.
    """

    pairs: tuple[PairedRuns, ...]
    overall: tuple[Contrast, ...]
    differences: tuple[Difference, ...]
    problems: tuple[StructuredError, ...]

    @property
    def is_fair(self) -> bool:
        """Whether everything was compared, and nothing differs except what was expected to."""
        return not self.problems and all(difference.is_expected for difference in self.differences)


def compare(first: Path, second: Path, expected: Sequence[str] = ()) -> Comparison:
    """Compare two results, each a result file, a folder of ARMORY's outputs, or a sweep folder.

    Runs correspond if they agree in all keys that differ between the runs of one side: of two sweeps over steps, the
    runs with the same number of steps.

    Args:
        first: A.
        second: B.
        expected: Dotted keys expected to differ; a key includes all below it ("model" includes "model.name").

    Raises:
        MissingFileError: If a path does not exist.
        InvalidValueError: If a side has no finished run, or no run of A corresponds to one of B.
    """
    problems: list[StructuredError] = []
    sides = [_load_finished(path, problems) for path in (first, second)]
    keys = sorted({key for side in sides for key in varying_keys([flatten(run.config) for run in side])})
    by_place = [{_place(run, keys): run for run in side} for side in sides]
    shared = [place for place in by_place[0] if place in by_place[1]]
    for path, here, there in zip((first, second), by_place, reversed(by_place), strict=True):
        alone = [run.name for place, run in here.items() if place not in there]
        problems += [InvalidValueError(f"{path}: {name}", "a run to pair with", "none") for name in alone]
    if not shared:
        raise InvalidValueError(str(first), f"a run that corresponds to one of {second}", "none", ", ".join(keys))
    pairs = [_pair(_name(keys, place), by_place[0][place], by_place[1][place], problems) for place in shared]
    differences = {found for pair in pairs for found in _differences(pair, keys, expected)}
    return Comparison(tuple(pairs), _overall(pairs), tuple(sorted(differences)), tuple(problems))


def _load_finished(path: Path, problems: list[StructuredError]) -> list[RunResult]:
    loaded = load_runs([path])
    finished = newest([run for run in loaded.runs if run.is_finished])
    if not finished:
        reasons = "; ".join(map(str, loaded.problems))
        raise InvalidValueError(str(path), "at least one finished run", "none", reasons)
    problems += loaded.problems
    unfinished = [run for run in loaded.runs if not run.is_finished]
    problems += [InvalidValueError(f"{path}: {run.name}", "a finished run", run.state) for run in unfinished]
    return finished


def _place(run: RunResult, keys: Sequence[str]) -> tuple[str, ...]:
    flat = flatten(run.config)
    return tuple(as_text(flat.get(key)) for key in keys)


def _name(keys: Sequence[str], place: Sequence[str]) -> str:
    """The name of a pair: the values that distinguish it from other pairs."""
    named = zip(keys, place, strict=True)
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in named) or "the only run"


def _pair(name: str, first: RunResult, second: RunResult, problems: list[StructuredError]) -> PairedRuns:
    table = tabulate([first, second])
    videos = table[table["video"] != ALL].pivot(index=["side", "metric", "video"], columns="run", values="value")
    videos = videos.reindex(columns=[0, 1])
    complete = []
    for (side, metric), rows in videos.groupby(["side", "metric"]):
        counts = rows.count()
        if counts[0] and counts[1] and counts[0] != counts[1]:
            got = f"{counts[0]} in A and {counts[1]} in B"
            problems.append(InvalidValueError(f"{name}: {side} {metric}", "the same number of videos", got))
        elif counts[0] == counts[1]:
            complete.append(rows)
    if not complete:
        fix = "set metric.record_metric_per_sample"
        problems.append(InvalidValueError(name, "a metric with a value for each video on both sides", "none", fix))
    paired = pd.concat(complete) if complete else videos.iloc[:0]
    return PairedRuns(name, first, second, paired, _contrasts(paired))


def _contrasts(videos: pd.DataFrame) -> tuple[Contrast, ...]:
    """One for each side and metric, benign first and the mean IoU first."""
    contrasts = [
        Contrast(side, metric, estimate(a).mean, estimate(b).mean, paired_difference(a, b))
        for (side, metric), rows in videos.groupby(["side", "metric"])
        for a, b in [(rows[0].tolist(), rows[1].tolist())]
    ]
    return tuple(sorted(contrasts, key=lambda each: (SIDES.index(each.side), each.metric != METRIC, each.metric)))


def _overall(pairs: Sequence[PairedRuns]) -> tuple[Contrast, ...]:
    """Every video's values averaged over the pairs, then compared: pairs of the same videos are not independent."""
    if len(pairs) < 2:
        return ()
    by_video = pd.concat([pair.videos for pair in pairs]).groupby(level=["side", "metric", "video"])
    in_all = (by_video.size() == len(pairs)).groupby(level=["side", "metric"]).transform("all")
    return _contrasts(by_video.mean()[in_all])


def _differences(pair: PairedRuns, keys: Sequence[str], expected: Sequence[str]) -> list[Difference]:
    first, second = (_all_values(run) for run in (pair.first, pair.second))
    return [
        Difference(key, as_text(first.get(key)), as_text(second.get(key)), _is_expected(key, expected))
        for key in varying_keys([first, second])
        if key not in keys
    ]


def _all_values(run: RunResult) -> dict[str, Any]:
    """Everything that a result may depend on, by dotted key: the config, versions and weights."""
    versions = {f"versions.{name}": value for name, value in run.versions.items()}
    return {**flatten(run.config), **versions, **{f"weights.{name}": value for name, value in run.weights.items()}}


def _is_expected(key: str, expected: Sequence[str]) -> bool:
    return any(key == given or key.startswith(f"{given}.") for given in expected)
