"""Metrics and settings as columns of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import Setting
from armory_skelevision.results.metric_names import SHARES, name_metric
from armory_skelevision.results.report.tables import TableCell
from armory_skelevision.results.result_file import KEYPOINT_PCK
from armory_skelevision.results.summary import Summary


class Metric(NamedTuple):
    """How a metric is shown."""

    key: str
    """Its name in result files."""
    title: str
    scale: float
    """Factor to the unit shown: 100 for shares in per cent."""
    digits: int


def describe_metric(key: str) -> Metric:
    """How a metric is shown, by its name in result files."""
    return Metric(key, name_metric(key), *((100, 1) if key in SHARES or key.startswith(KEYPOINT_PCK) else (1, 3)))


def metrics_of(summary: Summary) -> list[Metric]:
    """The metrics that any run measured, the known ones first; keypoints have a table of their own."""
    found = {key for key in summary.table["metric"].unique() if not key.startswith(KEYPOINT_PCK)}
    return [describe_metric(key) for key in (*filter(found.__contains__, SHARES), *sorted(found - SHARES.keys()))]


def as_cell(value: Estimate | None, metric: Metric) -> TableCell:
    """A measured value, "–" where there is none."""
    if value is None:
        return TableCell("–", digits=metric.digits, state="absent")
    half = None if value.half_width is None else value.half_width * metric.scale
    return TableCell(value=Estimate(value.mean * metric.scale, half, value.n), digits=metric.digits)


def varying_names(settings: Sequence[Setting]) -> list[str]:
    """Names whose values differ between settings."""
    maps = [dict(setting) for setting in settings]
    names = dict.fromkeys(name for found in maps for name in found)
    return [name for name in names if len({found.get(name) for found in maps}) > 1]


def constant_part(settings: Sequence[Setting]) -> str:
    """What all settings have in common, as a line for a caption."""
    varying = varying_names(settings)
    return write_setting(tuple(pair for pair in settings[0] if pair[0] not in varying)) if settings else ""


def setting_cells(setting: Setting, names: Sequence[str]) -> list[TableCell]:
    """The first cells of a row: the values of a setting."""
    values = dict(setting)
    return [TableCell(values.get(name, "–")) for name in names]


def write_setting(setting: Setting) -> str:
    """A setting as a line: "walkers mini · PatchAttack · δ 0.1 · 10 steps"."""
    words = []
    for name, value in setting:
        plain = name in ("data set", "attack", "defense")
        words.append(value if plain else f"{value} steps" if name == "steps" else f"{name} {value}")
    return " · ".join(words)
