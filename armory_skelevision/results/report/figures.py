"""Charts over settings: mean IoU over steps, success and precision plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.io import progress
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import LENGTHS
from armory_skelevision.results.records import Setting
from armory_skelevision.results.report.charts import precision_chart, steps_chart, success_chart
from armory_skelevision.results.report.curves import Curve, precision_curve, success_curve
from armory_skelevision.results.report.svg import LineStyle
from armory_skelevision.results.report.tables import write_setting
from armory_skelevision.results.summary import Summary

_STEPS = re.compile("[0-9]{1,15}")


class Panel(NamedTuple):
    """Charts under one headline."""

    title: str
    charts: tuple[str, ...]


def steps_panels(summary: Summary, styles: Mapping[str, LineStyle]) -> list[Panel]:
    """A chart for each setting (δ, data set, …) that was attacked with several numbers of steps."""
    curves: dict[Setting, dict[str, dict[float, Estimate]]] = {}
    for setting, groups in summary.groups.items():
        steps = next((value for name, value in setting if name in LENGTHS), "")
        rest = tuple(pair for pair in setting if pair[0] not in LENGTHS)
        for model, group in groups.items():
            value, benign = group.measure("adversarial", METRIC), group.measure("benign", METRIC)
            if value is not None and _STEPS.fullmatch(steps):
                points = curves.setdefault(rest, {}).setdefault(model, {})
                points[int(steps)] = value
                if benign:
                    points.setdefault(0, benign)
    panels = []
    for rest, found in progress(curves.items(), "charts over steps"):
        if len({steps for points in found.values() for steps in points} - {0}) > 1:
            ordered = {model: found[model] for model in summary.models if model in found}
            panels.append(Panel(write_setting(rest), (steps_chart(ordered, styles),)))
    return panels


def curve_panels(summary: Summary, styles: Mapping[str, LineStyle]) -> list[Panel]:
    """Success and precision plots of each setting, as far as runs recorded their frames."""
    panels = []
    for setting, groups in progress(summary.groups.items(), "success plots"):
        charts = []
        for curve_of, draw in ((success_curve, success_chart), (precision_curve, precision_chart)):
            curves: dict[str, dict[str, Curve]] = {}
            for model, group in groups.items():
                for side in summary.sides:
                    curve = curve_of(group.finished, side)
                    if curve is not None:
                        curves.setdefault(model, {})[side] = curve
            if curves:
                charts.append(draw(curves, styles))
        if charts:
            panels.append(Panel(write_setting(setting), tuple(charts)))
    return panels
