"""Keypoints in the report: the PCK of each as a table and as bars, and of all over the bound of the perturbation."""

from __future__ import annotations

import pandas as pd

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.results.labels import BOUND
from armory_skelevision.results.metric_names import KEYPOINT_PCK, RELATIVE_PCK, describe_metric
from armory_skelevision.results.records import SIDES
from armory_skelevision.results.report.charts import bounds_chart, keypoints_chart
from armory_skelevision.results.report.figures import Panel
from armory_skelevision.results.report.tables import Row, Table, as_cell, rows_by_side, write_setting
from armory_skelevision.results.summary import Group, Summary
from armory_skelevision.validation import PositiveFraction, accepts

USUAL_BOUND = 8.0
"""In 1/255; of an attack with several bounds, the bars show the one nearest to this."""


def keypoints_table(summary: Summary) -> Table:
    """PCK of each keypoint in per cent, a row for each setting and model; no rows where keypoints were not measured."""
    titles = {keypoint.replace("_", " "): f"{KEYPOINT_PCK}.{keypoint}" for keypoint in KEYPOINTS}
    rows: list[Row] = []
    for place, side, groups in rows_by_side(summary):
        for model, group in groups.items():
            found = {title: group.measure(side, metric) for title, metric in titles.items()}
            if any(found.values()):
                cells = {title: as_cell(value, describe_metric(KEYPOINT_PCK)) for title, value in found.items()}
                rows.append({**place, "model": model, **cells})
    return Table("keypoints", "Keypoints", rows, "keypoints found (PCK), in per cent", numeric=titles)


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


def _attacked_groups(summary: Summary) -> pd.DataFrame:
    """Groups with attacked keypoints: their attack, its bound in 1/255 (NaN without one) and the relative PCK."""
    rows = []
    for setting, groups in summary.groups.items():
        place = summary.unattacked[setting]
        attack = write_setting(tuple(pair for pair in setting if pair not in place and pair[0] != BOUND))
        for model, group in groups.items():
            value = group.measure("adversarial", RELATIVE_PCK)
            if value:
                eps = group.finished[0].setting("attack", "kwargs", "eps")
                bound = round(255 * eps, 3) if accepts(PositiveFraction, eps) else None
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
