"""All values of all runs as one tidy table, and their means over seeds for each setting and model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.intervals import Estimate, estimate
from armory_skelevision.results.labels import BASELINE, Label, Setting, as_text, flatten, is_attacked, label_runs
from armory_skelevision.results.records import SIDES, RunResult, with_checkpoints

ALL = -1
"""In place of a video's number: the mean over all videos."""

_TOLERANCE = 0.005  # of mean IoU; other hardware may cause as much


class LabelledRun(NamedTuple):
    """A run with its label."""

    run: RunResult
    label: Label | None
    """None without a config."""
    is_repeated: bool
    """Whether a newer run of the same config takes its place."""


@dataclass(frozen=True)
class Group:
    """All runs of one model under one setting.

    Attributes:
        model: Its label.
        setting: Its label.
        finished: One finished run for each seed; of several with the same config the newest.
        seeds: Of the finished runs.
        unfinished: Runs with seeds for which there is no finished run.
        estimates: Mean over the seeds, by side and metric.
    """

    model: str
    setting: Setting
    finished: tuple[RunResult, ...]
    seeds: tuple[Setting, ...]
    unfinished: tuple[RunResult, ...]
    estimates: Mapping[tuple[str, str], Estimate]

    @property
    def state(self) -> str:
        """Empty if all runs are finished, else "failed", "missing" or "partial"."""
        if not self.unfinished:
            return ""
        if self.finished:
            return "partial"
        return "failed" if any(run.state == "failed" for run in self.unfinished) else "missing"

    def measure(self, side: str, metric: str) -> Estimate | None:
        """Mean of a metric over the seeds that have it; ``side`` is "benign" or "adversarial"."""
        return self.estimates.get((side, metric))

    def seconds(self) -> Estimate | None:
        """Time of one run, over those that recorded it."""
        found = [run.seconds for run in self.finished if run.seconds is not None]
        return estimate(found) if found else None


@dataclass(frozen=True)
class Summary:
    """All runs, grouped.

    Attributes:
        runs: Every run with its label, without checkpoints.
        table: Every value of every run: columns run, side, metric, video (`ALL` for the mean), value.
        groups: By setting and model, checkpoints of longer attacks included.
        benign: Groups as if there were no attack, by the part of the setting that matters then, and model.
        models: Labels, the baseline first.
        settings: Labels, by data set, attack and defense, and numbers by size.
        unattacked: For each setting, the part that matters without the attack.
        inconsistent: A line for each model whose benign results differ between runs that should agree.
    """

    runs: tuple[LabelledRun, ...]
    table: pd.DataFrame
    groups: dict[tuple[Setting, str], Group]
    benign: dict[tuple[Setting, str], Group]
    models: tuple[str, ...]
    settings: tuple[Setting, ...]
    unattacked: Mapping[Setting, Setting]
    inconsistent: tuple[str, ...]

    @property
    def baseline(self) -> str | None:
        """The model that others are compared with; None if the single-task tracker is absent, or is alone."""
        found = [model for model in self.models if model.split()[0] == BASELINE]
        return found[0] if found and len(self.models) > 1 else None

    @property
    def sides(self) -> tuple[str, ...]:
        """What was to be measured: only the benign side where nothing was attacked."""
        return SIDES if any(map(is_attacked, self.settings)) else SIDES[:1]


def summarize(runs: Sequence[RunResult]) -> Summary:
    """Label runs and group them; a checkpoint of an attack counts like a run with so many steps."""
    expanded = [each for run in runs for each in with_checkpoints(run)]
    labels = label_runs(expanded)
    table, frame = tabulate(expanded), _describe(expanded, labels)
    attacked = _best_per_seed(frame, "setting", "adversarial")
    models, settings = frame["model"].unique(), frame["setting"].unique()
    return Summary(
        runs=tuple(
            LabelledRun(run, label, label is not None and run.is_finished and number not in set(attacked["run"]))
            for number, (run, label) in enumerate(zip(expanded, labels, strict=True))
            if run.steps is None
        ),
        table=table,
        groups=_group(attacked, "setting", table, expanded),
        benign=_group(_best_per_seed(frame, "unattacked", "benign"), "unattacked", table, expanded),
        models=tuple(sorted(models, key=lambda model: (model.split()[0] != BASELINE, _natural(model)))),
        settings=tuple(sorted(settings, key=lambda setting: [(name, _natural(value)) for name, value in setting])),
        unattacked={label.setting: label.unattacked for label in labels if label},
        inconsistent=tuple(_inconsistencies(frame)),
    )


def tabulate(runs: Sequence[RunResult]) -> pd.DataFrame:
    """Every value of every run: columns run (position), side, metric, video (`ALL` for the mean), value."""
    rows = [
        (number, side, metric, video, value)
        for number, run in enumerate(runs)
        for side in SIDES
        for metric, values in _values(run, side)
        for video, value in enumerate(values, start=ALL)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["run", "side", "metric", "video", "value"])


def newest(runs: Sequence[RunResult]) -> list[RunResult]:
    """Of runs with the same config only the newest, in the order in which their configs come first."""
    by_worth = sorted(runs, key=lambda run: _worth(run, "adversarial"))
    latest = {as_text(flatten(run.config)): run for run in by_worth}
    return [latest[config] for config in dict.fromkeys(as_text(flatten(run.config)) for run in runs)]


def _values(run: RunResult, side: str) -> Iterator[tuple[str, list[float | None]]]:
    """By metric, the mean over the videos followed by the value of each video."""
    found = run.side(side)
    for metric in sorted({*found.means, *found.videos}, key=lambda metric: (metric != METRIC, metric)):
        yield metric, [found.means.get(metric), *found.videos.get(metric, ())]


def _describe(runs: Sequence[RunResult], labels: Sequence[Label | None]) -> pd.DataFrame:
    """One row for each run that has a label, with what decides between runs of the same config."""
    rows = [
        (number, label.model, label.setting, label.unattacked, label.seed, run.benign.mean_iou,
         *(_worth(run, side) for side in SIDES))
        for number, (run, label) in enumerate(zip(runs, labels, strict=True))
        if label
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["run", "model", "setting", "unattacked", "seed", "benign_iou", *SIDES])


def _best_per_seed(frame: pd.DataFrame, place: str, side: str) -> pd.DataFrame:
    """One row for each setting, model and seed: the run that counts there."""
    return frame.sort_values(side, kind="stable").drop_duplicates([place, "model", "seed"], keep="last")


def _group(
    counted: pd.DataFrame, place: str, table: pd.DataFrame, runs: Sequence[RunResult]
) -> dict[tuple[Setting, str], Group]:
    means = table[table["video"] == ALL].merge(counted[["run", place, "model"]], on="run")
    estimates: dict[tuple[Setting, str], dict[tuple[str, str], Estimate]] = {}
    for (setting, model, side, metric), values in means.groupby([place, "model", "side", "metric"], sort=False)[
        "value"
    ]:
        estimates.setdefault((setting, model), {})[side, metric] = estimate(values.tolist())
    groups = {}
    for (setting, model), rows in counted.sort_values("seed").groupby([place, "model"], sort=False):
        found = [(runs[number], seed) for number, seed in zip(rows["run"], rows["seed"], strict=True)]
        groups[setting, model] = Group(
            model=model,
            setting=setting,
            finished=tuple(run for run, _ in found if run.is_finished),
            seeds=tuple(seed for run, seed in found if run.is_finished),
            unfinished=tuple(run for run, _ in found if not run.is_finished),
            estimates=estimates.get((setting, model), {}),
        )
    return groups


def _inconsistencies(frame: pd.DataFrame) -> Iterator[str]:
    """Without an attack, one model under one setting gives one result, unless weights or data have changed."""
    seeds = frame["seed"].map(lambda seed: tuple(pair for pair in seed if not pair[0].startswith("attack.")))
    ious = frame.assign(seed=seeds).groupby(["model", "unattacked", "seed"], sort=False)["benign_iou"]
    for (model, unattacked, _), spread in ious.agg(["min", "max"]).iterrows():
        if spread["max"] - spread["min"] > _TOLERANCE:
            place = " · ".join(value for _, value in unattacked)
            yield (
                f"{model} on {place}: the benign mean IoU is {100 * spread['min']:.1f} in one run and "
                f"{100 * spread['max']:.1f} in another; weights or data have changed in between"
            )


def _worth(run: RunResult, side: str) -> tuple[bool, bool, bool, float]:
    """Sorts runs of one config: finished, with this side measured, not a checkpoint, new; earlier items decide."""
    if not run.is_finished:
        return False, False, run.steps is None, 0.0
    return True, run.side(side).mean_iou is not None, run.steps is None, run.timestamp


def _natural(text: str) -> list[tuple[int, float, str]]:
    """A key that sorts "steps 20" before "steps 100"."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(0, float(part), "") if number % 2 else (1, 0.0, part) for number, part in enumerate(parts) if part]
