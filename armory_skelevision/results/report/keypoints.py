"""Keypoints in the report: PCK of each as a table and as bars, and of all over the bound of the perturbation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.results.groups import Board, Group
from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import BOUND, Setting, is_attacked
from armory_skelevision.results.records import KEYPOINT_PCK, RELATIVE_PCK
from armory_skelevision.results.report.charts import bounds_chart, keypoints_chart
from armory_skelevision.results.report.columns import Metric, as_entry, setting_entries, varying_names, write_setting
from armory_skelevision.results.report.figures import Panel
from armory_skelevision.results.report.overview import benign_place, by_unattacked
from armory_skelevision.results.report.tables import Entry, Table

USUAL_BOUND = 8.0
"""Of an attack with several bounds the bars show the one nearest to this."""


def keypoints_table(board: Board) -> Table:
    """PCK of each keypoint in per cent, a row for each setting and model; no rows where nobody looked at keypoints."""
    names = varying_names(board.settings)
    rows: list[tuple[Entry, ...]] = []
    for unattacked, settings in by_unattacked(board):
        for model in board.models:
            benign = board.benign.get((unattacked, model))
            rows += _row(benign, "benign", benign_place(unattacked, names))
        for setting, model in itertools.product(filter(is_attacked, settings), board.models):
            place = setting_entries(setting, names) or [Entry("attacked")]
            rows += _row(board.groups.get((setting, model)), "adversarial", place)
    titles = tuple(keypoint.replace("_", " ") for keypoint in KEYPOINTS)
    return Table(
        name="keypoints",
        title="Keypoints",
        columns=(*(names or [""]), "model", *titles),
        rows=tuple(rows),
        caption="keypoints found (PCK), in per cent",
        numeric=frozenset(titles),
    )


def keypoint_panels(board: Board) -> list[Panel]:
    """For each model, by what it was shown: the curve over bounds, where there are several, and the keypoints' bars."""
    panels = []
    for (place, model), groups in _places(board).items():
        title, curves = f"{write_setting(place)} · {model}", _curves(groups, place)
        if any(len(curve) > 1 for curve in curves.values()):
            panels.append(Panel(title, bounds_chart(curves)))
        bars = {attack: _left(group) for attack, group in _nearest(groups, place).items()}
        if any(bars.values()):
            panels.append(Panel(f"{title} · each keypoint", keypoints_chart(bars)))
    return panels


def _row(group: Group | None, side: str, place: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """One row, or none where no keypoint was looked at."""
    found = [group.measure(side, f"{KEYPOINT_PCK}.{keypoint}") if group else None for keypoint in KEYPOINTS]
    if group is None or not any(found):
        return []
    return [(*place, Entry(group.model), *(as_entry(value, Metric("", "", 100, 1)) for value in found))]


def _places(board: Board) -> dict[tuple[Setting, str], list[Group]]:
    """Groups whose keypoints were attacked, by the part of their setting that is no attack, and by model."""
    places: dict[tuple[Setting, str], list[Group]] = {}
    for unattacked, settings in by_unattacked(board):
        for setting, model in itertools.product(settings, board.models):
            group = board.groups.get((setting, model))
            if group and group.measure("adversarial", RELATIVE_PCK):
                places.setdefault((unattacked, model), []).append(group)
    return places


def _curves(groups: Sequence[Group], place: Setting) -> dict[str, dict[float, Estimate]]:
    """Relative PCK by attack and bound."""
    curves: dict[str, dict[float, Estimate]] = {}
    for group in groups:
        bound, value = _bound(group), group.measure("adversarial", RELATIVE_PCK)
        if bound is not None and value:
            curves.setdefault(_attack(group, place), {})[bound] = value
    return curves


def _nearest(groups: Sequence[Group], place: Setting) -> dict[str, Group]:
    """Of each attack the group whose bound is nearest to the usual one, called by both."""
    found: dict[str, Group] = {}
    for group in sorted(groups, key=lambda group: -abs((_bound(group) or 0.0) - USUAL_BOUND)):
        found[_attack(group, place)] = group
    bounds = {attack: _bound(group) for attack, group in found.items()}
    words = {attack: attack if bound is None else f"{attack}, {bound:g}/255" for attack, bound in bounds.items()}
    return {words[attack]: found[attack] for attack in dict.fromkeys(_attack(group, place) for group in groups)}


def _left(group: Group) -> dict[str, float]:
    """Relative PCK of each part of the body, left and right together, as a share; without those never found."""
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
    """What was done, without the bound: "KeypointIGSM · steps 10"."""
    return write_setting(tuple(pair for pair in group.setting if pair not in place and pair[0] != BOUND))


def _bound(group: Group) -> float | None:
    """Of a group's attack, in 1/255; None of attacks that have another bound."""
    try:
        return float(dict(group.setting).get(BOUND, ""))
    except ValueError:
        return None
