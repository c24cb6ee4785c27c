"""Runs under their labels, grouped by setting and model over their seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from armory_skelevision.results.intervals import Estimate, estimate
from armory_skelevision.results.labels import BASELINE, as_text, flatten, is_attacked, label_runs
from armory_skelevision.results.records import SIDES, RunResult, Setting, with_checkpoints

_TOLERANCE = 0.005  # of mean IoU; other hardware may cause as much


class Group(NamedTuple):
    """All runs of one model under one setting: one for each seed, of several with the same config the newest."""

    runs: tuple[RunResult, ...]
    """Finished ones first."""

    @property
    def finished(self) -> list[RunResult]:
        """Those that have a result."""
        return [run for run in self.runs if run.is_finished]

    @property
    def state(self) -> str:
        """Empty if all runs are finished, else "failed", "missing" or "partial"."""
        states = {run.state for run in self.runs}
        if "finished" in states:
            return "partial" if len(states) > 1 else ""
        return "failed" if "failed" in states else "missing"

    def measure(self, side: str, metric: str) -> Estimate | None:
        """Mean of a metric over the seeds that have it; ``side`` is "benign" or "adversarial".

        Runs that are identical on this side are one measurement, so there is no interval.
        """
        found = _estimate([run.side(side).means.get(metric) for run in self.finished])
        return Estimate(found.mean, None, 1) if found and self.is_identical(side) else found

    def is_identical(self, side: str) -> bool:
        """Whether all of several runs gave the same values on a side, as where a seed has no effect."""
        sides = [run.side(side) for run in self.finished]
        return len(sides) > 1 and all(other == sides[0] for other in sides)

    def lacks(self, side: str, metric: str) -> bool:
        """Whether a run measured a metric, but its result lacks the value (null or NaN) of a video."""
        return any(metric in run.side(side).missing for run in self.finished)

    def seconds(self) -> Estimate | None:
        """Time of one run, over those that recorded it."""
        return _estimate([run.seconds for run in self.finished])


Groups = Mapping[Setting, Mapping[str, Group]]
"""Groups by setting and model."""


@dataclass(frozen=True)
class Summary:
    """All runs, grouped."""

    runs: tuple[RunResult, ...]
    """Every run with its label, without checkpoints."""
    models: tuple[str, ...]
    """Labels, the baseline first."""
    groups: Groups
    """With checkpoints of longer attacks; settings by data set, attack and defense, and numbers by size."""
    benign: Groups
    """As if there were no attack, by the part of the setting that matters then."""
    unattacked: Mapping[Setting, Setting]
    """For each setting, the part that matters without the attack."""
    inconsistent: tuple[str, ...]
    """A line for each model whose benign results differ between runs that should agree, and for each whose runs of one
    setting were made with different weights or versions."""
    identical: tuple[str, ...]
    """A line for each model and setting whose runs differ in their seeds, but not in their results."""
    incomplete: tuple[str, ...]
    """A line for each run whose result lacks the values (null or NaN) of videos."""
    unmeasured: tuple[str, ...]
    """A line for each run on videos without true boxes."""

    @cached_property
    def varying(self) -> list[str]:
        """Names whose values differ between settings."""
        values = pd.DataFrame(map(dict, self.groups))
        return [name for name in values if values[name].nunique(dropna=False) > 1]

    @property
    def baseline(self) -> str | None:
        """The model that others are compared with; None if the single-task tracker is absent, or is alone."""
        found = [model for model in self.models if model.split()[0] == BASELINE]
        return found[0] if found and len(self.models) > 1 else None

    @property
    def sides(self) -> tuple[str, ...]:
        """What was to be measured: only the benign side where nothing was attacked."""
        return SIDES if any(map(is_attacked, self.groups)) else SIDES[:1]


def summarize(runs: Sequence[RunResult]) -> Summary:
    """Label runs and group them; a checkpoint of an attack counts like a run with so many steps."""
    runs = [each for run in runs for each in with_checkpoints(run)]
    runs = [replace(run, label=label) for run, label in zip(runs, label_runs(runs), strict=True)]
    labelled = [run for run in runs if run.label]
    frame = pd.DataFrame([run.label for run in labelled], columns=["model", "setting", "unattacked", "seed"])
    frame = frame.assign(run=labelled, **{side: [_worth(run, side) for run in labelled] for side in SIDES})
    models = sorted(frame["model"].unique(), key=lambda model: (model.split()[0] != BASELINE, _natural(model)))
    attacked = _group(frame, "setting", "adversarial", models)
    counted = {id(run) for groups in attacked.values() for group in groups.values() for run in group.finished}
    unattacked = dict(zip(frame["setting"], frame["unattacked"], strict=True))
    benign = _group(frame, "unattacked", "benign", models)
    return Summary(
        runs=tuple(
            replace(run, is_repeated=bool(run.label) and run.is_finished and id(run) not in counted)
            for run in runs
            if run.steps is None
        ),
        models=tuple(models),
        groups=attacked,
        benign={place: benign[place] for place in dict.fromkeys(unattacked[setting] for setting in attacked)},
        unattacked=unattacked,
        inconsistent=(*_inconsistencies(frame), *_mixed_groups(attacked)),
        identical=tuple(_identical_groups(attacked)),
        incomplete=tuple(_missing_values(run) for run in labelled if run.benign.missing or run.adversarial.missing),
        unmeasured=tuple(
            f"{run.name}: the video has no true boxes, so that nothing is measured"
            for run in labelled
            if run.is_finished and run.steps is None and not run.is_measured
        ),
    )


def tabulate(runs: Mapping[str, RunResult]) -> pd.DataFrame:
    """The values of single videos as a tidy table: columns run (a key), side, metric, video (its number), value.

    A missing value is NaN.
    """
    rows = [
        (key, side, metric, video, value)
        for key, run in runs.items()
        for side in SIDES
        for metric, values in run.side(side).videos.items()
        for video, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["run", "side", "metric", "video", "value"]).astype({"value": float})


def newest(runs: Sequence[RunResult]) -> list[RunResult]:
    """Of runs with the same config only the newest, in the order in which their configs come first."""
    by_worth = sorted(runs, key=lambda run: _worth(run, "adversarial"))
    latest = {as_text(flatten(run.config)): run for run in by_worth}
    return [latest[config] for config in dict.fromkeys(as_text(flatten(run.config)) for run in runs)]


def _estimate(values: Sequence[float | None]) -> Estimate | None:
    """The mean of those that are there."""
    found = [value for value in values if value is not None]
    return estimate(found) if found else None


def _group(frame: pd.DataFrame, place: str, side: str, models: Sequence[str]) -> dict[Setting, dict[str, Group]]:
    """The run that counts for each seed, by the column ``place`` and model."""
    counted = frame.sort_values(side, kind="stable").drop_duplicates([place, "model", "seed"], keep="last")
    found: dict[Setting, dict[str, Group]] = {}
    for (setting, model), runs in counted.sort_values("seed").groupby([place, "model"], sort=False)["run"]:
        found.setdefault(setting, {})[model] = Group(tuple(sorted(runs, key=lambda run: not run.is_finished)))
    order = sorted(found, key=lambda setting: [(name, _natural(value)) for name, value in setting])
    return {setting: {model: found[setting][model] for model in models if model in found[setting]} for setting in order}


def _inconsistencies(frame: pd.DataFrame) -> Iterator[str]:
    """Without an attack, one model under one setting gives one result, unless weights or data have changed."""
    seeds = frame["seed"].map(lambda seed: tuple(pair for pair in seed if not pair[0].startswith("attack.")))
    ious = frame["run"].map(lambda run: run.benign.mean_iou).astype(float)
    for (model, unattacked, _), spread in ious.groupby([frame["model"], frame["unattacked"], seeds], sort=False):
        low, high = spread.min(), spread.max()
        if high - low > _TOLERANCE:
            place = " · ".join(value for _, value in unattacked)
            yield (
                f"{model} on {place}: the benign mean IoU is {100 * low:.1f} in one run and {100 * high:.1f} in "
                "another; weights or data have changed in between"
            )


def _identical_groups(groups: Groups) -> Iterator[str]:
    """Settings in which a seed had no effect."""
    for setting, models in groups.items():
        side = "adversarial" if is_attacked(setting) else "benign"
        for model, group in models.items():
            if group.is_identical(side) and group.finished[0].side(side).means:
                runs = len(group.finished)
                place = " · ".join(value for _, value in setting)
                yield f"{model} on {place}: {runs} runs that differ only in their seeds gave identical results"


def _mixed_groups(groups: Groups) -> Iterator[str]:
    """Settings whose mean over seeds is one of runs that differ in more than those."""
    for setting, models in groups.items():
        for model, group in models.items():
            recorded = [{**run.weights, **run.versions} for run in group.finished]
            names = sorted({name for each in recorded for name in each})
            mixed = [name for name in names if len({each[name] for each in recorded if name in each}) > 1]
            if mixed:
                place = " · ".join(value for _, value in setting)
                yield f"{model} on {place}: its runs were made with different versions of {', '.join(mixed)}"


def _missing_values(run: RunResult) -> str:
    words = []
    for side in SIDES:
        for metric in sorted(run.side(side).missing):
            values = run.side(side).videos.get(metric, ())
            count = f"{values.count(None)} of {len(values)} videos" if None in values else "the mean"
            words.append(f"{side} {metric} of {count}")
    return f"{run.name}: no value of {', '.join(words)}"


def _worth(run: RunResult, side: str) -> tuple[bool, bool, bool, float]:
    """Sorts runs of one config: finished, with this side measured, not a checkpoint, new; earlier items decide."""
    if not run.is_finished:
        return False, False, run.steps is None, 0.0
    return True, run.side(side).mean_iou is not None, run.steps is None, run.timestamp


def _natural(text: str) -> list[tuple[int, float, str]]:
    """A key that sorts "steps 20" before "steps 100"."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(0, float(part), "") if number % 2 else (1, 0.0, part) for number, part in enumerate(parts) if part]
