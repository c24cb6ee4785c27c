"""What a grid file says: the cells, each with the ARMORY config that it stands for.

A grid is a JSON object::

    {
        "title": "STL against MTL",
        "base": "../scenario_configs/walkers_mtl_patch.json",
        "set": {"attack.kwargs.update": "accumulated_sign"},
        "axes": {
            "model": {
                "STL": {"model.name": "siamrpn_stl", "model.weights_file": "siamrpn_alex_stl.safetensors"},
                "MTL": {}
            },
            "attack.kwargs.step_size": [0.1, 0.2]
        },
        "exclude": [{"model": "STL", "attack.kwargs.step_size": 0.2}],
        "options": ["--num-eval-batches=1"]
    }

An axis is a list of values of the key that it is named after, or an object of named choices, each of which sets several
keys together. ``base`` is a path from the grid's folder, and may be an axis, too.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.sweeps.run import Cell

KEYS = ("title", "base", "set", "axes", "exclude", "options", "published")
# Objects of a config that take keys which a base does not name. Elsewhere ARMORY overlooks a wrong key.
_OPEN = re.compile(r"(dataset|metric|scenario|sysconfig|user_init|.*kwargs)$")


class Choice(NamedTuple):
    """One value of an axis."""

    label: Any
    """What it is called: the value itself, or the name of the choice."""
    settings: Mapping[str, Any]
    """Values by dotted key."""


def read_grid(path: str | os.PathLike[str]) -> list[Cell]:
    """The cells of a grid file, in the order of its axes, the last one changing fastest.

    Raises:
        FileNotFoundError: If the grid or a base is not there.
        ValueError: For anything in it that cannot be right: unknown keys, a dotted key that its base does not have,
            cells that are equal, a config that ARMORY refuses.
    """
    grid = _read_object(Path(path))
    _check_grid(grid, path)
    axes = {name: _read_axis(name, axis) for name, axis in grid["axes"].items()}
    cells, useless = [], list(grid.get("exclude", []))
    for choices in itertools.product(*axes.values()):
        labels = dict(zip(axes, (choice.label for choice in choices), strict=True))
        values = {key: value for choice in choices for key, value in choice.settings.items()}
        fitting = [excluded for excluded in grid.get("exclude", []) if _agree(excluded, {**values, **labels})]
        if fitting:
            useless = [excluded for excluded in useless if excluded not in fitting]
            continue
        settings = {"base": grid.get("base"), **grid.get("set", {}), **values}
        config = _build(Path(path).parent, settings)
        place = "".join(f"; {name}: {_show(label)}" for name, label in labels.items())
        config["_description"] = f"{config.get('_description', '')}{place}"
        cells.append(Cell(name_cell(labels), labels, values, config, tuple(grid.get("options", []))))
    if useless:
        raise ValueError(f"{path}: exclude: no cell has {useless[0]}")
    if not cells:
        raise ValueError(f"{path}: no cell is left; look at axes and exclude")
    _check_configs(cells)
    return _distinct(cells)


def name_cell(labels: Mapping[str, Any]) -> str:
    """What the cell at these labels is called, unless another has the same name."""
    return "-".join(_slug(label) for label in labels.values()) or "cell"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def _check_grid(grid: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    unknown = sorted(set(grid) - set(KEYS))
    if unknown:
        raise ValueError(f"{path}: unknown {unknown}; a grid has {list(KEYS)}")
    kinds: dict[str, type] = {"set": dict, "axes": dict, "exclude": list, "options": list, "published": dict}
    for key, kind in kinds.items():
        if not isinstance(grid.get(key, kind()), kind):
            raise ValueError(f"{path}: {key}: expected {'an object' if kind is dict else 'a list'}, got {grid[key]!r}")
    if "axes" not in grid:
        raise ValueError(f'{path}: no "axes"; an empty object stands for the base alone')
    if not all(isinstance(option, str) and option.startswith("--") for option in grid.get("options", [])):
        raise ValueError(f'{path}: options: expected options of `armory run` such as "--num-eval-batches=1"')
    known = {key for name, axis in grid["axes"].items() for key in (name, *_settings_of(axis))}
    for excluded in grid.get("exclude", []):
        if not isinstance(excluded, dict) or not excluded or not excluded.keys() <= known:
            raise ValueError(f"{path}: exclude: expected objects of axes and their values, got {excluded!r}")


def _settings_of(axis: Any) -> list[str]:
    if not isinstance(axis, dict):
        return []
    return [key for settings in axis.values() if isinstance(settings, dict) for key in settings]


def _read_axis(name: str, axis: Any) -> list[Choice]:
    if isinstance(axis, list) and axis:
        return [Choice(value, {name: value}) for value in axis]
    if isinstance(axis, dict) and axis and all(isinstance(settings, dict) for settings in axis.values()):
        return [Choice(label, settings) for label, settings in axis.items()]
    raise ValueError(f"axis {name}: expected a list of values, or an object of named settings, got {axis!r}")


def _agree(excluded: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(key in values and values[key] == value for key, value in excluded.items())


def _build(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    base = settings["base"]
    if not isinstance(base, str):
        raise ValueError(f'base: expected the path of a config, from the grid\'s folder, got {base!r}; set "base"')
    config = _read_object(folder / base)
    for key, value in settings.items():
        if key != "base":
            _set(config, key, copy.deepcopy(value), base)
    return config


def _set(config: dict[str, Any], key: str, value: Any, base: str) -> None:
    *parents, last = key.split(".")
    place, name = config, "the config"
    for parent in parents:
        name = parent
        if not isinstance(place.get(parent), dict):
            raise ValueError(f"{key}: {base} has no object {parent!r} there; it has {sorted(place)}")
        place = place[parent]
    if last not in place and not _OPEN.match(name):
        raise ValueError(f"{key}: {base} has no {last!r} there; it has {sorted(place)}")
    place[last] = value


def _show(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)


def _slug(label: Any) -> str:
    """A part of a folder's name; of a path its last part."""
    text = Path(label).stem if isinstance(label, str) and "/" in label else _show(label)
    return re.sub(r"[^A-Za-z0-9.=+]+", "_", text).strip("_.")[:40] or "x"


def _check_configs(cells: Sequence[Cell]) -> None:
    from armory.utils.configuration import validate_config
    from jsonschema import ValidationError

    for cell in cells:
        try:
            validate_config(cell.config)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.absolute_path) or "the config"
            raise ValueError(f"cell {cell.name}: ARMORY refuses {place}: {error.message}") from error


def _distinct(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with names of their own."""
    names: dict[str, str] = {}
    for cell in cells:
        if cell.hash in names:
            raise ValueError(
                f"cells {names[cell.hash]} and {cell.name} have the same config: does an axis repeat itself?"
            )
        names[cell.hash] = cell.name
    counts = Counter(cell.name for cell in cells)
    return [cell._replace(name=f"{cell.name}-{cell.hash[:8]}") if counts[cell.name] > 1 else cell for cell in cells]
