"""Keypoints in the report: the PCK of each as a table and as bars, and of all over the bound of the perturbation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import BOUND, Setting, is_attacked
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
    for (place, model), groups in _places(summary).items():
        title, curves = f"{write_setting(place)} · {model}", _curves(groups, place)
        if any(len(curve) > 1 for curve in curves.values()):
            panels.append(Panel(title, (bounds_chart(curves),)))
        bars = {attack: _relative_by_part(group) for attack, group in _nearest(groups, place).items()}
        if any(bars.values()):
            panels.append(Panel(f"{title} · each keypoint", (keypoints_chart(bars),)))
    return panels


def _row(group: Group | None, side: str, place: Sequence[TableCell]) -> list[tuple[TableCell, ...]]:
    """One row, or none where keypoints were not measured."""
    found = [group.measure(side, f"{KEYPOINT_PCK}.{keypoint}") if group else None for keypoint in KEYPOINTS]
    if group is None or not any(found):
        return []
    return [(*place, TableCell(group.model), *(as_cell(value, describe_metric(KEYPOINT_PCK)) for value in found))]


def _places(summary: Summary) -> dict[tuple[Setting, str], list[Group]]:
    """Groups with attacked keypoints, by the part of their setting that is not the attack, and by model."""
    places: dict[tuple[Setting, str], list[Group]] = {}
    for unattacked, settings in by_unattacked(summary):
        for setting, model in itertools.product(settings, summary.models):
            group = summary.groups.get((setting, model))
            if group and group.measure("adversarial", RELATIVE_PCK):
                places.setdefault((unattacked, model), []).append(group)
    return places


def _curves(groups: Sequence[Group], place: Setting) -> dict[str, dict[float, Estimate]]:
    """Relative PCK in [0, 1] by attack and bound."""
    curves: dict[str, dict[float, Estimate]] = {}
    for group in groups:
        bound, value = _bound(group), group.measure("adversarial", RELATIVE_PCK)
        if bound is not None and value:
            curves.setdefault(_attack(group, place), {})[bound] = value
    return curves


def _nearest(groups: Sequence[Group], place: Setting) -> dict[str, Group]:
    """Of each attack, the group whose bound is nearest to the usual one, named by attack and bound."""
    found: dict[str, Group] = {}
    for group in sorted(groups, key=lambda group: -abs((_bound(group) or 0.0) - USUAL_BOUND)):
        found[_attack(group, place)] = group
    bounds = {attack: _bound(group) for attack, group in found.items()}
    words = {attack: attack if bound is None else f"{attack}, {bound:g}/255" for attack, bound in bounds.items()}
    return {words[attack]: found[attack] for attack in dict.fromkeys(_attack(group, place) for group in groups)}


def _relative_by_part(group: Group) -> dict[str, float]:
    """Relative PCK of each part of the body in [0, 1], left and right together; without parts that are never found."""
    found: dict[str, list[tuple[float, float]]] = {}
    for keypoint in KEYPOINTS:
        before, after = (group.measure(side, f"{KEYPOINT_PCK}.{keypoint}") for side in ("benign", "adversarial"))
        if before and after:
            found.setdefault(keypoint.rpartition("_")[2], []).append((before.mean, after.mean))
    sums: Mapping[str, list[float]] = {
        part: [sum(side) for side in zip(*pairs, strict=True)] for part, pairs in found.items()
    }
    return {part: after / before for part, (before, after) in sums.items() if before}


def _attack(group: Group, place: Setting) -> str:
    """The attack without its bound: "KeypointIGSM · 10 steps"."""
    return write_setting(tuple(pair for pair in group.setting if pair not in place and pair[0] != BOUND))


def _bound(group: Group) -> float | None:
    """The bound of a group's attack in 1/255; None for attacks without one."""
    eps = group.finished[0].setting("attack", "kwargs", "eps") if group.finished else None
    return round(255 * eps, 3) if isinstance(eps, int | float) else None
