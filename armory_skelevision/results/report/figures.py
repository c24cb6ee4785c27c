"""Charts over settings: mean IoU over steps, success and precision plots."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import Setting
from armory_skelevision.results.records import RunResult
from armory_skelevision.results.report.charts import precision_chart, steps_chart, success_chart
from armory_skelevision.results.report.columns import write_setting
from armory_skelevision.results.report.curves import Curve, precision_curve, success_curve
from armory_skelevision.results.report.svg import LineStyle
from armory_skelevision.results.summary import Summary

Item = TypeVar("Item")


@dataclass(frozen=True)
class Panel:
    """Charts under one headline."""

    title: str
    charts: tuple[str, ...]


def progress(items: Iterable[Item], name: str) -> Iterable[Item]:
    """Items with a progress bar on a terminal."""
    bar: Iterable[Item] = tqdm(items, desc=name, disable=None, leave=False)
    return bar


def steps_panels(summary: Summary, styles: Mapping[str, LineStyle]) -> list[Panel]:
    """A chart for each setting (δ, data set, …) that was attacked with several numbers of steps."""
    curves: dict[Setting, dict[str, dict[int, Estimate]]] = {}
    for setting, model in itertools.product(summary.settings, summary.models):
        group, steps = summary.groups.get((setting, model)), dict(setting).get("steps", "")
        value = group.measure("adversarial", METRIC) if group else None
        if group is None or value is None or not steps.isdigit():
            continue
        rest = tuple(pair for pair in setting if pair[0] != "steps")
        points = curves.setdefault(rest, {}).setdefault(model, {})
        points[int(steps)] = value
        benign = group.measure("benign", METRIC)
        if benign:
            points.setdefault(0, benign)
    several = {
        rest: {name: found[name] for name in summary.models if name in found}
        for rest, found in curves.items()
        if len({steps for points in found.values() for steps in points} - {0}) > 1
    }
    bar = progress(several.items(), "charts over steps")
    return [Panel(write_setting(rest), (steps_chart(found, styles),)) for rest, found in bar]


def curve_panels(summary: Summary, styles: Mapping[str, LineStyle]) -> list[Panel]:
    """Success and precision plots of each setting, as far as runs recorded their frames."""
    panels = []
    for setting in progress(summary.settings, "success plots"):
        found = [summary.groups.get((setting, model)) for model in summary.models]
        runs = {group.model: group.finished for group in found if group}
        success, precision = _curves(success_curve, runs, summary), _curves(precision_curve, runs, summary)
        charts = [success_chart(success, styles)] if success else []
        charts += [precision_chart(precision, styles)] if precision else []
        if charts:
            panels.append(Panel(write_setting(setting), tuple(charts)))
    return panels


def _curves(
    curve_of: Callable[[Sequence[RunResult], str], Curve | None],
    runs: Mapping[str, Sequence[RunResult]],
    summary: Summary,
) -> dict[str, dict[str, Curve]]:
    """Curves by model and side, without those that were not recorded."""
    curves = {
        model: {side: curve for side in summary.sides if (curve := curve_of(found, side)) is not None}
        for model, found in runs.items()
    }
    return {model: sides for model, sides in curves.items() if sides}
