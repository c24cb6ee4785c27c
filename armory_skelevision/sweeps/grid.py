"""What a grid file means: the planned runs, each with its ARMORY config.

A grid is a JSON object with the fields of `Grid`; docs/sweeps.md has an example. An axis is a list of values of the key
that it is named after, or an object of named choices, each of which sets several keys together. ``base`` is a path from
the grid's folder, and may be an axis, too.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from armory_skelevision.evaluation.check.run import check_schema
from armory_skelevision.io import check_depth, printable, read_object
from armory_skelevision.sweeps.axes import Choice, as_number, check_overrides, check_values, read_axis
from armory_skelevision.sweeps.run import FILES, Run
from armory_skelevision.validation import InvalidValueError, Range, Settings, check_known, check_value

MAX_RUNS = 10_000
"""Most runs of a grid."""

MAX_BYTES = 16 * 2**20
"""Most bytes of a grid file and of a base."""

MAX_NAME = 200
"""Most letters of the name of a run's folder."""

Percent = Annotated[float, Range(0, 100)]

OPTIONS = (
    "--check, --skip-benign, --skip-attack, --skip-misclassified, --num-eval-batches=2, --index=0,1, --classes=0,1, "
    "--use-gpu, --no-gpu, --gpus=0, --debug, --log-level=LEVEL"
)
"""Those of `armory run` that a grid may have: the others ask questions, or take the result elsewhere."""

_OPTION = re.compile(
    r"--(check|skip-benign|skip-attack|skip-misclassified|use-gpu|no-gpu|no-docker|debug"
    r"|num-eval-batches=[1-9][0-9]{0,8}|(index|classes|gpus|log-level)=\S+)"
)

# Objects of a config that take keys which a base does not name. Elsewhere ARMORY overlooks a wrong key.
_OPEN = re.compile(r"(dataset|metric|scenario|sysconfig|user_init|.*kwargs)$")


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
        """Refuse what cannot be meant: no options, keys that are set twice, exclusions of what is on no axis."""
        for option in self.options:
            if not _OPTION.fullmatch(option):
                raise InvalidValueError("options", f"any of {OPTIONS}", repr(option))
        if len({option.partition("=")[0] for option in self.options}) < len(self.options):
            raise InvalidValueError("options", "each option once", f"{list(self.options)!r:.200}")
        count = math.prod(len(axis) for axis in self.axes.values() if isinstance(axis, list | dict))
        if count > MAX_RUNS:  # before any of them is made
            raise InvalidValueError("axes", f"at most {MAX_RUNS} combinations", str(count), "make several grids")
        axes = self.read_axes()
        check_values("set", self.set)
        check_overrides(
            {
                "base": [{} if self.base is None else {"base": self.base}],
                "set": [self.set],
                **{f"axes.{name}": [choice.settings for choice in axis] for name, axis in axes.items()},
            }
        )
        choices = [choice for axis in axes.values() for choice in axis]
        known = {*self.axes, *(key for choice in choices for key in choice.settings)}
        for excluded in self.exclude:
            if not excluded or not excluded.keys() <= known:
                raise InvalidValueError("exclude", "objects of axes and their values", f"{excluded!r:.200}")
        _check_published(self.published, axes)

    def read_axes(self) -> dict[str, list[Choice]]:
        """The choices of each axis."""
        return {name: read_axis(name, axis) for name, axis in self.axes.items()}


def read_grid(path: str | os.PathLike[str]) -> list[Run]:
    """The runs of a grid file, in the order of its axes, the last one changing fastest.

    Raises:
        MissingFileError: If the grid or a base is not there.
        InvalidValueError: For anything in it that cannot be right: unknown keys, a key that is set twice, a dotted key
            that its base does not have, equal runs, more than `MAX_RUNS` of them, a config that ARMORY refuses.
    """
    content = read_object(path, MAX_BYTES)
    check_depth(printable(path), content)
    try:
        return _distinct(_expand(Grid.from_dict(content, ""), Path(path).parent))
    except InvalidValueError as error:
        if error.key.startswith(os.path.join(printable(Path(path).parent), "")):  # of a base
            raise
        raise InvalidValueError(f"{printable(path)}: {error.key}", error.expected, error.got, error.fix) from None


def _expand(grid: Grid, folder: Path) -> list[Run]:
    """All combinations of the axes that are not excluded."""
    axes, bases = grid.read_axes(), _Bases(folder)
    runs, useless = [], list(grid.exclude)
    for choices in itertools.product(*axes.values()):
        labels = dict(zip(axes, (choice.label for choice in choices), strict=True))
        values = {key: value for choice in choices for key, value in choice.settings.items()}
        place = {name: as_number(value) for name, value in {**values, **labels}.items()}
        fitting = [out for out in grid.exclude if all(place.get(name) == as_number(out[name]) for name in out)]
        if fitting:
            useless = [excluded for excluded in useless if excluded not in fitting]
            continue
        config = _build(bases, {"base": grid.base, **grid.set, **values})
        described = "".join(f"; {name}: {_show(label)}" for name, label in labels.items())
        config["_description"] = f"{config.get('_description', '')}{described}"
        name = "-".join(map(_slug, labels.values())) or "run"
        for finding in check_schema(config):
            if finding.level == "error":
                raise InvalidValueError(f"{name}: {finding.key}", "what ARMORY's schema allows", finding.problem)
        runs.append(Run(name, labels, values, config, tuple(grid.options)))
    if useless:
        raise InvalidValueError("exclude", "values that a run has", json.dumps(useless[0]))
    if not runs:
        raise InvalidValueError("axes", "at least one run", "none", "the grid excludes all of them")
    return runs


def _check_published(published: Mapping[str, Any], axes: Mapping[str, Sequence[Choice]]) -> None:
    """Refuse published numbers that could not be shown beside a run, or of which only one could."""
    check_known("published", published, ("source", "cells"))
    check_value("published.cells", published.get("cells", []), Sequence[Mapping[str, Any]])
    for number, cell in enumerate(published.get("cells", [])):
        place = f"published.cells.{number}"
        check_known(place, cell, ("where", "benign", "adversarial"))
        check_value(f"{place}.where", cell.get("where"), Mapping[str, Any])
        check_known(f"{place}.where", cell["where"], list(axes))
        for name, label in cell["where"].items():
            if as_number(label) not in {as_number(choice.label) for choice in axes[name]}:
                raise InvalidValueError(f"{place}.where.{name}", "a value of that axis", f"{label!r:.80}")
        check_value(f"{place}.benign", cell.get("benign"), Percent | None)
        check_value(f"{place}.adversarial", cell.get("adversarial"), Percent | Mapping[str, Percent] | None)
        steps = cell.get("adversarial")
        if isinstance(steps, Mapping) and not all(re.fullmatch("[1-9][0-9]*", count) for count in steps):
            raise InvalidValueError(f"{place}.adversarial", "numbers by steps of the attack", f"{list(steps)!r:.80}")
    for where, count in Counter(as_number(cell["where"]) for cell in published.get("cells", [])).items():
        if count > 1:
            raise InvalidValueError("published.cells", "one of each combination", f"{count} where {where:.80}")


class _Bases:
    """The configs that runs begin with, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[str, dict[str, Any]] = {}

    def copy(self, name: str) -> dict[str, Any]:
        """A copy of the config at a path from the grid's folder."""
        if name not in self.read:
            self.read[name] = read_object(self.folder / name, MAX_BYTES)
            check_depth(printable(self.folder / name), self.read[name])
        return copy.deepcopy(self.read[name])


def _build(bases: _Bases, settings: Mapping[str, Any]) -> dict[str, Any]:
    base = settings["base"]
    if not isinstance(base, str):
        raise InvalidValueError("base", "the path of a config, from the grid's folder", f"{base!r:.200}")
    config = bases.copy(base)
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
    """The runs, each with a name of its own that can name a folder beside the sweep's files."""
    names: dict[str, str] = {}
    for run in runs:
        if run.hash in names:
            equal = f"{names[run.hash]} and {run.name} alike"
            raise InvalidValueError("axes", "runs that differ", equal, "does an axis repeat a value?")
        names[run.hash] = run.name
    counts = Counter(run.name.casefold() for run in runs)  # many disks take "A" and "a" for one name
    alike = {name for name, count in counts.items() if count > 1 or name in FILES}
    unfit = {run.name for run in runs if run.name.casefold() in alike or len(run.name) > MAX_NAME}
    return [run._replace(name=f"{run.name[:MAX_NAME]}-{run.hash[:8]}") if run.name in unfit else run for run in runs]
