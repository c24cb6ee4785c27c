"""What tells evaluations apart: which model, under which setting, with which seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armory_skelevision.results.cells import Cell

BASELINE = "STL"
"""The single-task tracker, to which others are compared."""

# Keys that say how a run is kept and shown, not what is measured.
_BOOKKEEPING = ("_description", "eval_id", "sysconfig", "metric", "scenario.export_batches", "user_init",
                "scenario.kwargs.skip_benign")  # fmt: skip
_BOOKKEEPING_NAMES = ("verbose", "export", "checkpoints", "batch_size", "framework")
_OPTIONS = "scenario.kwargs."  # where a result file has the options of `armory run`, also those that were not given

_NOUNS = ("model", "dataset", "attack", "defense")
BOUND = "ε (1/255)"
"""What the bound of attacks on keypoints is called in settings."""

_NAMES = {"attack.kwargs.step_size": "δ", "attack.kwargs.max_iter": "steps", "attack.kwargs.eps_255": BOUND}

_NAMED = ("dataset.name", "dataset.eval_split", "attack.name", "defense.name")  # stand in every setting
_CALLED = "model called"  # a key of no config

Flat = Mapping[str, Any]
"""A config's values by dotted key."""

Setting = tuple[tuple[str, str], ...]
"""Pairs of a short name and a value, such as ("δ", "0.1")."""


@dataclass(frozen=True)
class Label:
    """What a cell is.

    Attributes:
        model: Such as "MTL", with what tells it from other models of its name.
        setting: What was done to it: data set, attack, defense, δ and steps, and what else differs between the cells.
        unattacked: The part of the setting that matters without the attack.
        seed: Its seeds, by key; cells that differ in nothing else are repetitions.
    """

    model: str
    setting: Setting
    unattacked: Setting
    seed: Setting


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values by dotted key, without what only says how a run is kept and shown.

    An attack that `armory run` was told to skip is none, and an option that was not given says nothing.
    """
    flat: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if key in _BOOKKEEPING or key.rpartition(".")[2] in _BOOKKEEPING_NAMES:
            return
        if isinstance(value, Mapping) and value:
            for name, inner in value.items():
                walk(inner, f"{key}.{name}" if key else str(name))
        elif value or not f"{key}.".startswith(_OPTIONS):
            flat[key] = value

    walk(config, "")
    if flat.pop(f"{_OPTIONS}skip_attack", False):
        return {key: value for key, value in flat.items() if key.partition(".")[0] != "attack"}
    return flat


def varying_keys(configs: Iterable[Flat]) -> list[str]:
    """Keys whose values are not the same in all these configs; a missing key counts as a value."""
    configs = list(configs)
    keys = sorted({key for config in configs for key in config})
    return [key for key in keys if len({say(config.get(key)) for config in configs}) > 1]


def is_seed(key: str) -> bool:
    """Whether a dotted key names a seed."""
    return key.rpartition(".")[2] == "seed"


def is_attacked(setting: Setting) -> bool:
    """Whether a setting has an attack."""
    return any(name == "attack" for name, _ in setting)


def say(value: Any) -> str:
    """A config's value as short text."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def key_of(cell: Cell) -> str:
    """What a cell is told apart by, within a collection."""
    return f"{cell.folder}/{cell.name}"


def label_cells(cells: Sequence[Cell]) -> dict[str, Label]:
    """A label for each cell that has a config, by `key_of` the cell."""
    flat = {key_of(cell): {**flatten(cell.config), _CALLED: _called(cell)} for cell in cells if cell.config}
    configs = list(flat.values())
    varying = varying_keys(configs)
    marks = {key: _marks(config, configs, varying) for key, config in flat.items()}
    names = _short_names({mark for found in marks.values() for mark in found if not mark.startswith("model.")})
    return {key: _label(config, marks[key], names) for key, config in flat.items()}


def _label(config: Flat, marks: Sequence[str], names: Mapping[str, str]) -> Label:
    named = [("data set", _dataset(config))]
    named += [(noun, say(config[f"{noun}.name"])) for noun in ("attack", "defense") if config.get(f"{noun}.name")]
    further = [(key, names[key], say(config.get(key))) for key in marks if not key.startswith("model.")]
    return Label(
        model=" ".join([config[_CALLED], *_model_marks(config, marks)]),
        setting=(*named, *((name, value) for _, name, value in further)),
        unattacked=(
            *(pair for pair in named if pair[0] != "attack"),
            *((name, value) for key, name, value in further if not key.startswith("attack.")),
        ),
        seed=tuple((name, say(config[name])) for name in sorted(config) if is_seed(name)),
    )


def _marks(config: Flat, configs: Sequence[Flat], varying: Sequence[str]) -> list[str]:
    """Keys worth naming: of each noun what differs between those of its name, of the rest what differs at all."""
    found = [key for key in _NAMES if key in config]
    for key in varying:
        noun = key.partition(".")[0]
        alike = [other for other in configs if _same_name(noun, config, other)]
        differs = len({say(other.get(key)) for other in alike}) > 1
        if differs and key not in (*found, *_NAMED, _CALLED) and not is_seed(key):
            found.append(key)
    return found


def _same_name(noun: str, one: Flat, other: Flat) -> bool:
    name = _CALLED if noun == "model" else f"{noun}.name"
    return noun not in _NOUNS or one.get(name) == other.get(name)


def _short_names(keys: Iterable[str]) -> dict[str, str]:
    short = {key: _NAMES.get(key, key.rpartition(".")[2]) for key in keys}
    uses = Counter(short.values())
    return {key: name if uses[name] == 1 else key.replace(".kwargs", "") for key, name in short.items()}


def _called(cell: Cell) -> str:
    """What to call a cell's model: as its sweep does, else by its function's name."""
    if isinstance(cell.labels.get("model"), str):
        return str(cell.labels["model"])
    model = cell.config.get("model")
    name = str(model.get("name") or "") if isinstance(model, dict) else ""
    return name.removeprefix("siamrpn_").upper() if name.startswith("siamrpn_") else name or "unnamed model"


def _model_marks(config: Flat, marks: Sequence[str]) -> list[str]:
    """What tells models of one name apart: weights by their file's name, the rest by key and value."""
    words = []
    for key in marks:
        if key == "model.weights_file":
            words.append(say(config.get(key)).rpartition("/")[2].rsplit(".", 1)[0])
        elif key.startswith("model."):
            words.append(f"{key.rpartition('.')[2]} {say(config.get(key))}")
    return words


def _dataset(config: Flat) -> str:
    return " ".join(say(config[key]) for key in ("dataset.name", "dataset.eval_split") if config.get(key)) or "–"
