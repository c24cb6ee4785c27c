"""Two results or two sweeps side by side: paired video by video, and told what else differs between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.cells import Cell
from armory_skelevision.results.finding import collect
from armory_skelevision.results.groups import newest
from armory_skelevision.results.intervals import Estimate, estimate, paired_difference
from armory_skelevision.results.labels import Flat, flatten, say, varying_keys
from armory_skelevision.results.records import SIDES, Run


class Difference(NamedTuple):
    """A key whose value is not the same in A and B."""

    key: str
    first: str
    second: str
    expected: bool
    """Whether it was meant to differ."""


@dataclass(frozen=True)
class Contrast:
    """One metric on one side of A and B, over the same videos.

    Attributes:
        side: "benign" or "adversarial".
        metric: Its name.
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
class Pair:
    """A cell of A and the cell of B that belongs to it."""

    name: str
    first: Cell
    second: Cell
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        pairs: Cell by cell.
        overall: Over all pairs, every video's differences averaged first; empty with one pair, or where videos differ.
        differences: Keys that differ between A and B.
        faults: What could not be read or paired, a line each.
    """

    pairs: tuple[Pair, ...]
    overall: tuple[Contrast, ...]
    differences: tuple[Difference, ...]
    faults: tuple[str, ...]

    @property
    def is_fair(self) -> bool:
        """Whether all was compared, and nothing differs but what was meant to."""
        return not self.faults and all(difference.expected for difference in self.differences)


def compare(first: Path, second: Path, expected: Sequence[str] = ()) -> Comparison:
    """Compare two results, each a result file, a folder of ARMORY's outputs, or a sweep folder.

    Cells belong together if they agree in all that differs between the cells of one side: of two sweeps over steps, the
    cells of as many steps.

    Args:
        first: A.
        second: B.
        expected: Dotted keys meant to differ; a key stands for all below it ("model" for "model.name").

    Raises:
        FileNotFoundError: If a path leads nowhere.
        ValueError: If a side has no finished run, or none belongs to one of the other side.
    """
    collections = [collect([path]) for path in (first, second)]
    faults = [fault for collection in collections for fault in collection.faults]
    sides: list[list[Cell]] = []
    for path, collection in zip((first, second), collections, strict=True):
        finished = newest([cell for cell in collection.cells if cell.run])
        if not finished:
            raise ValueError("; ".join([f"{path} holds no finished run", *collection.faults]))
        faults += [f"{path}: {cell.name} is {cell.state}" for cell in collection.cells if not cell.run]
        sides.append(finished)
    keys = sorted({key for side in sides for key in varying_keys([_flat(cell) for cell in side])})
    by_place = [{_place(cell, keys): cell for cell in side} for side in sides]
    shared = [place for place in by_place[0] if place in by_place[1]]
    for path, here, there in zip((first, second), by_place, reversed(by_place), strict=True):
        faults += [f"{path}: {cell.name} has nothing to pair with" for at, cell in here.items() if at not in there]
    if not shared:
        raise ValueError(f"no run of {first} belongs to one of {second}: they differ in {', '.join(keys)}")
    pairs = [_pair(_name(keys, at), by_place[0][at], by_place[1][at], faults) for at in shared]
    differences = {found for pair in pairs for found in _differences(pair, keys, expected)}
    return Comparison(tuple(pairs), tuple(_overall(pairs)), tuple(sorted(differences)), tuple(faults))


def _flat(cell: Cell) -> Flat:
    return flatten(cell.config)


def _place(cell: Cell, keys: Sequence[str]) -> tuple[str, ...]:
    flat = _flat(cell)
    return tuple(say(flat.get(key)) for key in keys)


def _name(keys: Sequence[str], place: Sequence[str]) -> str:
    """What a pair is called: the values that tell it from other pairs."""
    named = zip(keys, place, strict=True)
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in named) or "the only run"


def _pair(name: str, first: Cell, second: Cell, faults: list[str]) -> Pair:
    contrasts = []
    for side in SIDES:
        for metric, values in _videos(first.run, side).items():
            others = _videos(second.run, side).get(metric)
            if others is None:
                continue
            if len(values) != len(others):
                faults.append(f"{name}: {side} {metric}: A has {len(values)} videos, B has {len(others)}")
                continue
            contrasts.append(_contrast(side, metric, values, others))
    if not contrasts:
        faults.append(f"{name}: no metric was kept for each video on both sides (set metric.record_metric_per_sample)")
    return Pair(name, first, second, tuple(contrasts))


def _videos(run: Run | None, side: str) -> dict[str, tuple[float, ...]]:
    """Values of each video by metric, the mean IoU first."""
    videos = dict(run.side(side).videos) if run else {}
    return {metric: videos[metric] for metric in sorted(videos, key=lambda metric: (metric != METRIC, metric))}


def _contrast(side: str, metric: str, first: Sequence[float], second: Sequence[float]) -> Contrast:
    return Contrast(side, metric, estimate(first).mean, estimate(second).mean, paired_difference(first, second))


def _overall(pairs: Sequence[Pair]) -> list[Contrast]:
    """Every video's values averaged over the pairs, then compared: pairs of the same videos are not independent."""
    if len(pairs) < 2:
        return []
    found = []
    for contrast in pairs[0].contrasts:
        columns = [
            [_videos(cell.run, contrast.side).get(contrast.metric, ()) for cell in (pair.first, pair.second)]
            for pair in pairs
        ]
        if len({len(values) for column in columns for values in column}) == 1:
            first, second = (_mean_over_pairs(values) for values in zip(*columns, strict=True))
            found.append(_contrast(contrast.side, contrast.metric, first, second))
    return found


def _mean_over_pairs(values: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(video) / len(video) for video in zip(*values, strict=True)]


def _differences(pair: Pair, keys: Sequence[str], expected: Sequence[str]) -> list[Difference]:
    first, second = (_described(cell) for cell in (pair.first, pair.second))
    return [
        Difference(key, say(first.get(key)), say(second.get(key)), _is_meant(key, expected))
        for key in varying_keys([first, second])
        if key not in keys
    ]


def _described(cell: Cell) -> dict[str, Any]:
    """All that a result may depend on, by dotted key: the config, and what else is known of the run."""
    versions = {f"versions.{name}": value for name, value in cell.versions.items()}
    return {**_flat(cell), **versions, **{f"weights.{name}": value for name, value in cell.weights.items()}}


def _is_meant(key: str, expected: Sequence[str]) -> bool:
    return any(key == meant or key.startswith(f"{meant}.") for meant in expected)
