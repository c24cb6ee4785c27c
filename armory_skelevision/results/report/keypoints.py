"""Keypoints in the report: the PCK of each as a table and as bars, and of all over the bound of the perturbation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.results.labels import BOUND, is_attacked
from armory_skelevision.results.records import SIDES
from armory_skelevision.results.report.charts import bounds_chart, keypoints_chart
from armory_skelevision.results.report.columns import (
    as_cell,
    describe_metric,
    setting_cells,
    varying_names,
    write_setting,
)
from armory_skelevision.results.report.figures import Panel
from armory_skelevision.results.report.overview import benign_place, by_unattacked
from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.result_file import KEYPOINT_PCK, RELATIVE_PCK
from armory_skelevision.results.summary import Group, Summary

USUAL_BOUND = 8.0
"""In 1/255; of an attack with several bounds, the bars show the one nearest to this."""


def keypoints_table(summary: Summary) -> Table:
    """PCK of each keypoint in per cent, a row for each setting and model; no rows where keypoints were not measured."""
    names = varying_names(summary.settings)
    rows: list[tuple[TableCell, ...]] = []
    for unattacked, settings in by_unattacked(summary):
        for model in summary.models:
            benign = summary.benign.get((unattacked, model))
            rows += _row(benign, "benign", benign_place(unattacked, names))
        for setting, model in itertools.product(filter(is_attacked, settings), summary.models):
            place = setting_cells(setting, names) or [TableCell("attacked")]
            rows += _row(summary.groups.get((setting, model)), "adversarial", place)
    titles = tuple(keypoint.replace("_", " ") for keypoint in KEYPOINTS)
    return Table(
        name="keypoints",
        title="Keypoints",
        columns=(*(names or [""]), "model", *titles),
        rows=tuple(rows),
        caption="keypoints found (PCK), in per cent",
        numeric=frozenset(titles),
    )


def keypoint_panels(summary: Summary) -> list[Panel]:
    """For each model and data set: the curve over bounds, where there are several, and bars of the keypoints."""
    panels = []
    for (place, model), found in _attacked_groups(summary).groupby(["place", "model"], sort=False):
        title = f"{write_setting(place)} · {model}"
        bounded = found.dropna(subset="bound").groupby("attack", sort=False)
        curves = {attack: dict(zip(rows["bound"], rows["value"], strict=True)) for attack, rows in bounded}
        if any(len(curve) > 1 for curve in curves.values()):
            panels.append(Panel(title, (bounds_chart(curves),)))
        away = (found["bound"].fillna(USUAL_BOUND) - USUAL_BOUND).abs()
        nearest = found.loc[away.groupby(found["attack"], sort=False).idxmin()]
        bars = {
            attack if pd.isna(bound) else f"{attack}, {bound:g}/255": _relative_by_part(group)
            for attack, bound, group in zip(nearest["attack"], nearest["bound"], nearest["group"], strict=True)
        }
        if any(bars.values()):
            panels.append(Panel(f"{title} · each keypoint", (keypoints_chart(bars),)))
    return panels


def _row(group: Group | None, side: str, place: Sequence[TableCell]) -> list[tuple[TableCell, ...]]:
    """One row, or none where keypoints were not measured."""
    found = [group.measure(side, f"{KEYPOINT_PCK}.{keypoint}") if group else None for keypoint in KEYPOINTS]
    if group is None or not any(found):
        return []
    return [(*place, TableCell(group.model), *(as_cell(value, describe_metric(KEYPOINT_PCK)) for value in found))]


def _attacked_groups(summary: Summary) -> pd.DataFrame:
    """Groups with attacked keypoints: their attack, its bound in 1/255 (NaN without one) and the relative PCK."""
    rows = []
    for setting, model in itertools.product(summary.settings, summary.models):
        group = summary.groups.get((setting, model))
        value = group.measure("adversarial", RELATIVE_PCK) if group else None
        if group and value:
            place, eps = summary.unattacked[setting], group.finished[0].setting("attack", "kwargs", "eps")
            attack = write_setting(tuple(pair for pair in setting if pair not in place and pair[0] != BOUND))
            bound = round(255 * eps, 3) if isinstance(eps, int | float) else None
            rows.append((place, model, attack, bound, value, group))
    frame = pd.DataFrame(rows, columns=["place", "model", "attack", "bound", "value", "group"])
    return frame.astype({"bound": float})


def _relative_by_part(group: Group) -> dict[str, float]:
    """Relative PCK of each part of the body in [0, 1], left and right together; without parts that are never found."""
    rows = []
    for keypoint in KEYPOINTS:
        before, after = (group.measure(side, f"{KEYPOINT_PCK}.{keypoint}") for side in SIDES)
        if before and after:
            rows.append((keypoint.rpartition("_")[2], before.mean, after.mean))
    sums = pd.DataFrame(rows, columns=["part", *SIDES]).groupby("part", sort=False).sum()
    sums = sums[sums["benign"] > 0]
    relative: dict[str, float] = (sums["adversarial"] / sums["benign"]).to_dict()
    return relative
