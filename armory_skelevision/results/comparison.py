"""Two results or two sweeps side by side: paired by video, with everything else that differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from armory_skelevision.evaluation.table import METRIC, VIDEO_NAMES
from armory_skelevision.results.intervals import estimate, paired_difference
from armory_skelevision.results.labels import as_text, flatten, varying_keys
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.records import SIDES, RunResult
from armory_skelevision.results.summary import newest, tabulate
from armory_skelevision.validation import InvalidValueError, StructuredError


class Difference(NamedTuple):
    """A key whose value is not the same in A and B."""

    key: str
    first: str
    second: str
    is_expected: bool


class PairedRuns(NamedTuple):
    """A run of A and the run of B that corresponds to it."""

    name: str
    first: RunResult
    second: RunResult
    videos: pd.DataFrame
    """Values of both ("A", "B"), by side, metric and video."""
    contrasts: pd.DataFrame
    """Columns side, metric, first and second (means of A and B over the videos), change (paired `Estimate` of B - A).

    Benign rows come first, and of each side the mean IoU.
    """


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        pairs: One for each pair of runs.
        overall: Contrasts of each video's values, averaged over the pairs first; empty for a single pair.
        differences: Keys that differ between A and B.
        problems: What could not be read or paired.
    """

    pairs: tuple[PairedRuns, ...]
    overall: pd.DataFrame
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
    here, there = ({_name(run, keys): run for run in side} for side in sides)
    for path, named, others in ((first, here, there), (second, there, here)):
        alone = [run.name for name, run in named.items() if name not in others]
        problems += [InvalidValueError(f"{path}: {name}", "a run to pair with", "none") for name in alone]
    pairs = tuple(_pair(name, run, there[name], problems) for name, run in here.items() if name in there)
    if not pairs:
        raise InvalidValueError(str(first), f"a run that corresponds to one of {second}", "none", ", ".join(keys))
    differences = {found for pair in pairs for found in _differences(pair, keys, expected)}
    return Comparison(pairs, _overall(pairs), tuple(sorted(differences)), tuple(problems))


def _load_finished(path: Path, problems: list[StructuredError]) -> list[RunResult]:
    loaded = load_runs([path])
    finished = newest([run for run in loaded.runs if run.is_finished])
    unmeasured = [run for run in finished if not run.is_measured]
    finished = [run for run in finished if run.is_measured]
    found = [InvalidValueError(f"{path}: {run.name}", "a video with true boxes", "none") for run in unmeasured]
    if not finished:
        reasons = "; ".join(map(str, (*loaded.problems, *found)))
        raise InvalidValueError(str(path), "at least one finished run", "none", reasons)
    problems += [*loaded.problems, *found]
    unfinished = [run for run in loaded.runs if not run.is_finished]
    problems += [InvalidValueError(f"{path}: {run.name}", "a finished run", run.state) for run in unfinished]
    return finished


def _name(run: RunResult, keys: Sequence[str]) -> str:
    """What distinguishes a run from others of its side, and names a pair."""
    flat = flatten(run.config)
    return ", ".join(f"{key.rpartition('.')[2]} {as_text(flat.get(key))}" for key in keys) or "the only run"


def _pair(name: str, first: RunResult, second: RunResult, problems: list[StructuredError]) -> PairedRuns:
    table = _by_name(name, tabulate({"A": first, "B": second}), first, second, problems)
    videos = table.pivot(index=["side", "metric", "video"], columns="run", values="value").reindex(columns=["A", "B"])
    counts = videos.groupby(["side", "metric"]).count()
    for (side, metric), (a, b) in counts[(counts != 0).all(axis=1) & (counts["A"] != counts["B"])].iterrows():
        got = f"{a} in A and {b} in B"
        problems.append(InvalidValueError(f"{name}: {side} {metric}", "the same number of videos", got))
    for letter, run in (("A", first), ("B", second)):
        lacking = [f"{side} {metric}" for side in SIDES for metric in sorted(run.side(side).missing)]
        got = f"none for some in {letter}"
        problems += [InvalidValueError(f"{name}: {metric}", "a value for each video", got) for metric in lacking]
    complete = videos.notna().all(axis=1).groupby(["side", "metric"]).all()
    equal = counts[(counts["A"] == counts["B"]) & complete.reindex(counts.index)].index
    paired = videos[videos.index.droplevel("video").isin(equal)]
    if paired.empty:
        fix = "set metric.record_metric_per_sample"
        problems.append(InvalidValueError(name, "a metric with a value for each video on both sides", "none", fix))
    return PairedRuns(name, first, second, paired, _contrasts(paired))


def _by_name(
    name: str, table: pd.DataFrame, first: RunResult, second: RunResult, problems: list[StructuredError]
) -> pd.DataFrame:
    """The table with names in place of numbers where both runs have them: one number may mean two videos."""
    if not (first.names and second.names):
        return table
    is_unique = len(set(first.names)) == len(first.names)
    if first.names != second.names and not (is_unique and sorted(first.names) == sorted(second.names)):
        expected, got = "the same videos, each with a name of its own", "others, or two of one name"
        problems.append(InvalidValueError(f"{name}: {VIDEO_NAMES}", expected, got))
        return table[:0]
    runs = {"A": first, "B": second}
    named = [runs[run].video_name(video) for run, video in zip(table["run"], table["video"], strict=True)]
    return table.assign(video=named) if is_unique else table


def _contrasts(videos: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (side, metric), values in videos.groupby(["side", "metric"]):
        a, b = values["A"].tolist(), values["B"].tolist()
        rows.append((side, metric, estimate(a).mean, estimate(b).mean, paired_difference(a, b)))
    rows.sort(key=lambda row: (SIDES.index(row[0]), row[1] != METRIC, row[1]))
    return pd.DataFrame(rows, columns=["side", "metric", "first", "second", "change"])


def _overall(pairs: Sequence[PairedRuns]) -> pd.DataFrame:
    """Every video's values averaged over the pairs, then compared: pairs of the same videos are not independent."""
    by_video = pd.concat([pair.videos for pair in pairs]).groupby(level=["side", "metric", "video"])
    in_all = (by_video.size() == len(pairs)).groupby(level=["side", "metric"]).transform("all")
    return _contrasts(by_video.mean()[in_all & (len(pairs) > 1)])


def _differences(pair: PairedRuns, keys: Sequence[str], expected: Sequence[str]) -> Iterator[Difference]:
    first, second = _all_values(pair.first), _all_values(pair.second)
    for key in varying_keys([first, second]):
        if key not in keys:
            is_expected = any(f"{key}.".startswith(f"{given}.") for given in expected)
            yield Difference(key, as_text(first.get(key)), as_text(second.get(key)), is_expected)


def _all_values(run: RunResult) -> dict[str, Any]:
    """Everything that a result may depend on, by dotted key: the config, versions, and hashes of weights.

    The hash of a weights file is below the key of the config that names the file, so that whoever expects another model
    expects its weights, too: ``model.weights_file.sha256``.
    """
    flat = flatten(run.config)
    versions = {f"versions.{name}": value for name, value in run.versions.items()}
    weights: dict[str, str] = {}
    for name, value in run.weights.items():
        keys = [key for key, named in flat.items() if named == name] or [f"weights.{name}"]
        weights |= {f"{key}.sha256": value for key in keys}
    return {**flat, **versions, **weights}
