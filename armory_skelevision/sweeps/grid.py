"""What a grid file means: the planned runs, each with its ARMORY config.

A grid is a JSON object with the fields of `Grid`; docs/sweeps.md has an example. An axis is a list of values of the key
that it is named after, or an object of named choices, each of which sets several keys together. ``base`` is a path from
the grid's folder, and may be an axis, too.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.check.run import check_schema
from armory_skelevision.io import parse_json
from armory_skelevision.sweeps.run import Run
from armory_skelevision.validation import InvalidValueError, Settings

# Objects of a config that take keys which a base does not name. Elsewhere ARMORY overlooks a wrong key.
_OPEN = re.compile(r"(dataset|metric|scenario|sysconfig|user_init|.*kwargs)$")


class Choice(NamedTuple):
    """One value of an axis."""

    label: Any
    """The value itself, or the name of the choice."""
    settings: Mapping[str, Any]
    """Values by dotted key."""


@dataclass(frozen=True)
class Grid(Settings):
    """What a grid file holds.

    Attributes:
        axes: By name, a list of values of the key of that name, or an object of named settings.
        title: For tables and figures.
        base: Path of an ARMORY config, from the grid's folder; None where an axis has it.
        set: Values of all runs, by dotted key.
        exclude: Combinations of labels or values that are left out.
        options: Options of `armory run`.
        published: Published numbers, for the report.
    """

    axes: Mapping[str, Any]
    title: str = ""
    base: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    exclude: Sequence[Mapping[str, Any]] = ()
    options: Sequence[str] = ()
    published: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse options that are none, and exclusions of what is not on an axis."""
        for option in self.options:
            if not option.startswith("--"):
                raise InvalidValueError("options", 'options such as "--num-eval-batches=1"', repr(option))
        choices = [choice for axis in self.read_axes().values() for choice in axis]
        known = {*self.axes, *(key for choice in choices for key in choice.settings)}
        for excluded in self.exclude:
            if not excluded or not excluded.keys() <= known:
                raise InvalidValueError("exclude", "objects of axes and their values", repr(excluded))

    def read_axes(self) -> dict[str, list[Choice]]:
        """The choices of each axis."""
        return {name: _read_axis(name, axis) for name, axis in self.axes.items()}


def read_grid(path: str | os.PathLike[str]) -> list[Run]:
    """The runs of a grid file, in the order of its axes, the last one changing fastest.

    Raises:
        FileNotFoundError: If the grid or a base is not there.
        InvalidValueError: For anything in it that cannot be right: unknown keys, a dotted key that its base does not
            have, runs that are equal, a config that ARMORY refuses.
    """
    grid = Grid.from_dict(read_object(Path(path)), "grid")
    axes = grid.read_axes()
    runs, useless = [], list(grid.exclude)
    for choices in itertools.product(*axes.values()):
        labels = dict(zip(axes, (choice.label for choice in choices), strict=True))
        values = {key: value for choice in choices for key, value in choice.settings.items()}
        fitting = [excluded for excluded in grid.exclude if excluded.items() <= {**values, **labels}.items()]
        if fitting:
            useless = [excluded for excluded in useless if excluded not in fitting]
            continue
        config = _build(Path(path).parent, {"base": grid.base, **grid.set, **values})
        place = "".join(f"; {name}: {_show(label)}" for name, label in labels.items())
        config["_description"] = f"{config.get('_description', '')}{place}"
        name = "-".join(map(_slug, labels.values())) or "run"
        runs.append(Run(name, labels, values, config, tuple(grid.options)))
    if useless:
        raise InvalidValueError("grid.exclude", "values that a run has", json.dumps(useless[0]))
    if not runs:
        raise InvalidValueError("grid.axes", "at least one run", "none", "the grid excludes all of them")
    for run in runs:
        for finding in check_schema(run.config):
            if finding.level == "error":
                raise InvalidValueError(f"{run.name}: {finding.key}", "what ARMORY's schema allows", finding.problem)
    return _distinct(runs)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object (`InvalidValueError`, with the path as its key)."""
    try:
        content = parse_json(path.read_bytes())
    except ValueError as error:
        raise InvalidValueError(os.fspath(path), "JSON", str(error)) from error
    if not isinstance(content, dict):
        raise InvalidValueError(os.fspath(path), "a JSON object", type(content).__name__)
    return content


def _read_axis(name: str, axis: Any) -> list[Choice]:
    if isinstance(axis, list) and axis:
        return [Choice(value, {name: value}) for value in axis]
    if isinstance(axis, dict) and axis and all(isinstance(settings, dict) for settings in axis.values()):
        return [Choice(label, settings) for label, settings in axis.items()]
    raise InvalidValueError(f"axes.{name}", "a list of values, or an object of named settings", repr(axis))


def _build(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    base = settings["base"]
    if not isinstance(base, str):
        raise InvalidValueError("grid.base", "the path of a config, from the grid's folder", repr(base))
    config = read_object(folder / base)
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
            raise InvalidValueError(key, f"a key of {base}", f"no object {parent!r} there", f"it has {sorted(place)}")
        place = place[parent]
    if last not in place and not _OPEN.match(name):
        raise InvalidValueError(key, f"a key of {base}", f"no {last!r} there", f"it has {sorted(place)}")
    place[last] = value


def _show(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)


def _slug(label: Any) -> str:
    """A part of a folder's name; of a path its last part."""
    text = Path(label).stem if isinstance(label, str) and "/" in label else _show(label)
    return re.sub(r"[^A-Za-z0-9.=+]+", "_", text).strip("_.")[:40] or "x"


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """The runs, with a name of its own for each."""
    names: dict[str, str] = {}
    for run in runs:
        if run.hash in names:
            equal = f"{names[run.hash]} and {run.name} alike"
            raise InvalidValueError("grid.axes", "runs that differ", equal, "does an axis repeat a value?")
        names[run.hash] = run.name
    counts = Counter(run.name for run in runs)
    return [run._replace(name=f"{run.name}-{run.hash[:8]}") if counts[run.name] > 1 else run for run in runs]
