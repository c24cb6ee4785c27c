"""Cells that a sweep's grid asks for, and that have left no folder (yet)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from armory_skelevision.results.cells import Cell
from armory_skelevision.results.labels import flatten, say
from armory_skelevision.sweeps.grid import name_run


def with_expected(cells: Sequence[Cell], grid: Mapping[str, Any], sweep: Path) -> list[Cell]:
    """A sweep's cells, those that were not begun included, each with its place on the grid's axes.

    The copy of a grid that a sweep keeps does not have the configs that it is based on, so the config of a cell that is
    not there is put together from those that are: on each axis from one that stands at the same label.

    Args:
        cells: Those that have a folder.
        grid: What the sweep's grid.json says.
        sweep: The sweep's folder.
    """
    known = list(cells)
    for labels in _places(grid):
        if any(_same(cell.labels, labels) for cell in known):
            continue
        config = _put_together(labels, grid, cells)
        match = next((cell for cell in known if not cell.labels and flatten(cell.config) == flatten(config)), None)
        if match is not None and config:
            known[known.index(match)] = replace(match, labels=labels)
        else:
            name = name_run(labels)
            known.append(Cell(name, sweep / name, "missing", config, labels=labels))
    return known


def _places(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Labels by axis of all cells of a grid; none of a grid that is not one."""
    axes = grid.get("axes")
    choices = [_choices(name, axis) for name, axis in axes.items()] if isinstance(axes, dict) else []
    if not choices or not all(choices):
        return
    excluded = grid.get("exclude") or []
    for chosen in itertools.product(*choices):
        labels = {name: label for name, label, _ in chosen}
        values = {key: value for _, _, settings in chosen for key, value in settings.items()}
        place = {**values, **labels}
        if not any(all(key in place and place[key] == value for key, value in out.items()) for out in excluded):
            yield labels


def _choices(name: str, axis: Any) -> list[tuple[str, Any, Mapping[str, Any]]]:
    if isinstance(axis, dict):
        return [(name, label, settings) for label, settings in axis.items() if isinstance(settings, dict)]
    return [(name, value, {name: value}) for value in axis] if isinstance(axis, list) else []


def _same(labels: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return {name: say(label) for name, label in labels.items()} == {name: say(label) for name, label in others.items()}


def _put_together(labels: Mapping[str, Any], grid: Mapping[str, Any], cells: Sequence[Cell]) -> dict[str, Any]:
    """The config at a place, {} where the cells that are there do not tell it."""
    told = [cell for cell in cells if cell.labels and cell.config]
    if not told:
        return {}
    config = copy.deepcopy(dict(told[0].config))
    for name, label in labels.items():
        if say(told[0].labels.get(name)) == say(label):
            continue
        alike = next((cell for cell in told if say(cell.labels.get(name)) == say(label)), None)
        keys = {key for _, _, settings in _choices(name, grid["axes"][name]) for key in settings}
        if alike is None or "base" in keys:  # another base may differ in anything
            return {}
        for key in keys:
            _copy_key(key, alike.config, config)
    return config


def _copy_key(key: str, source: Mapping[str, Any], target: dict[str, Any]) -> None:
    """Give ``target`` the value that ``source`` has at a dotted key, or none if it has none."""
    *parents, last = key.split(".")
    for parent in parents:
        found = source.get(parent)
        source = found if isinstance(found, dict) else {}
        place = target.setdefault(parent, {})
        if not isinstance(place, dict):
            return
        target = place
    if last in source:
        target[last] = copy.deepcopy(source[last])
    else:
        target.pop(last, None)
