"""Metrics as columns: their names, their units, and settings without what is the same in every row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.groups import Board
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import Setting
from armory_skelevision.results.records import FRAMES, KEYPOINT_PCK, RELATIVE_PCK
from armory_skelevision.results.report.tables import Entry


class Metric(NamedTuple):
    """How a metric is shown."""

    key: str
    """Its name in result files."""
    title: str
    scale: float
    """Factor to the unit shown: 100 for shares in per cent."""
    digits: int


SHARES = {
    METRIC: "mIoU",
    "success_auc": "success AUC",
    "precision_20px": "precision 20 px",
    "normalised_precision": "norm. precision",
    "video_tracking_mean_success_rate": "success rate (ARMORY)",
    "pck": "PCK",
    RELATIVE_PCK: "relative PCK",
    "oks": "OKS",
}
"""Metrics in [0, 1], shown in per cent; any other is shown as it is."""


def metrics_of(board: Board) -> list[Metric]:
    """The metrics that any run measured, the known ones first; single keypoints have a table of their own."""
    runs = [cell.run for group in board.groups.values() for cell in group.finished if cell.run]
    keys = {key for run in runs for side in (run.benign, run.adversarial) for key in side.means}
    found = {key for key in keys if key != FRAMES and not key.startswith(KEYPOINT_PCK)}
    known = [Metric(key, title, 100, 1) for key, title in SHARES.items() if key in found]
    return known + [Metric(key, key.replace("_", " "), 1, 3) for key in sorted(found - SHARES.keys())]


def scaled(value: Estimate | None, scale: float) -> Estimate | None:
    """An estimate in another unit."""
    if value is None:
        return None
    half = None if value.half_width is None else value.half_width * scale
    return Estimate(value.mean * scale, half, value.n)


def as_entry(value: Estimate | None, metric: Metric) -> Entry:
    """A measured value as shown, "–" where there is none."""
    return Entry("–", scaled(value, metric.scale), metric.digits, state="" if value else "absent")


def setting_names(settings: Iterable[Setting]) -> list[str]:
    """Names in all these settings, in the order in which they come."""
    return list(dict.fromkeys(name for setting in settings for name, _ in setting))


def varying_names(settings: Sequence[Setting]) -> list[str]:
    """Names whose values differ between settings; all if there is but one setting and nothing else to show."""
    maps = [dict(setting) for setting in settings]
    return [name for name in setting_names(settings) if len({found.get(name) for found in maps}) > 1]


def constant_part(settings: Sequence[Setting]) -> str:
    """What all settings have in common, as a line for a caption."""
    varying = varying_names(settings)
    return " · ".join(f"{name} {value}" for name, value in settings[0] if name not in varying) if settings else ""


def setting_entries(setting: Setting, names: Sequence[str]) -> list[Entry]:
    """A row's first entries."""
    values = dict(setting)
    return [Entry(values.get(name, "–")) for name in names]


def write_setting(setting: Setting) -> str:
    """A setting as a line: "walkers mini · PatchAttack · δ 0.1 · 10 steps"."""
    words = []
    for name, value in setting:
        words.append(value if name in ("data set", "attack", "defense") else f"{name} {value}")
    return " · ".join(words)
