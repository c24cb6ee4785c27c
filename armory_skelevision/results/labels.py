"""Labels that distinguish evaluations: which model, under which setting, with which seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from armory_skelevision.results.records import Label, RunResult, Setting

BASELINE = "STL"
"""The single-task tracker, with which others are compared."""

BOUND = "ε"
"""Name of the bound of a perturbation in settings, in [0, 1]."""

# Keys that affect how a run is recorded and shown, not what is measured.
_BOOKKEEPING = ("_description", "eval_id", "sysconfig", "metric", "scenario.export_batches", "user_init",
                "scenario.kwargs.skip_benign", "dataset.box_xywh")  # fmt: skip
_BOOKKEEPING_NAMES = ("verbose", "export", "checkpoints", "batch_size", "framework")
_OPTIONS = "scenario.kwargs."  # where a result file has the options of `armory run`, including those not given

_MODEL = "model label"  # not a key of any config
# Within which name a section's keys are compared: attacks come with their scenarios.
_NAME_OF = {"model": _MODEL, "scenario": "attack.name"} | {
    part: f"{part}.name" for part in ("dataset", "attack", "defense")
}
_NAMES = {
    "attack.kwargs.step_size": "δ",
    "attack.kwargs.max_iter": "steps",
    "attack.kwargs.budget": "budget",
    "attack.kwargs.eps": BOUND,
    "attack.kwargs.attack": "transferred",
    "attack.kwargs.source": "made on",
}
LENGTHS = ("steps", "budget")
"""Names of what says how long an attack is: its steps, or its gradient evaluations."""

_NAMED = ("dataset.name", "dataset.eval_split", "attack.name", "defense.name")  # part of every setting
_COLUMNS = (
    "attack",
    "command",
    "data set",
    "defense",
    "hash",
    "model",
    "reach",
    "run",
    "seconds",
    "seed",
    "seeds",
    "setting",
    "side",
    "state",
    "video",
    "videos",
)  # of tables, beside settings

Flat = Mapping[str, Any]
"""A config's values by dotted key."""


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values by dotted key, without keys that only affect how a run is recorded and shown.

    An attack that `armory run` was told to skip is left out, and so are options that were not given.
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
    return [key for key in keys if len({as_text(config.get(key)) for config in configs}) > 1]


def is_seed(key: str) -> bool:
    """Whether a dotted key names a seed."""
    return key.rpartition(".")[2] == "seed"


def is_attacked(setting: Setting) -> bool:
    """Whether a setting has an attack."""
    return any(name == "attack" for name, _ in setting)


def as_text(value: Any) -> str:
    """A config's value as short text."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def label_runs(runs: Sequence[RunResult]) -> list[Label | None]:
    """A label for each run; None for runs without a config."""
    configs = {
        place: {**flatten(run.config), _MODEL: _model_label(run)} for place, run in enumerate(runs) if run.config
    }
    varying = varying_keys(configs.values())
    keys = {place: _distinguishing_keys(config, configs.values(), varying) for place, config in configs.items()}
    names = _short_names({key for found in keys.values() for key in found if not key.startswith("model.")})
    files = _short_files(str(config["model.weights_file"]) for config in configs.values() if _has_weights(config))
    labels = {place: _label(config, keys[place], names, files) for place, config in configs.items()}
    columns = {*_COLUMNS, *names.values(), ""}
    labels = {
        place: label._replace(model=f"model {label.model}") if label.model in columns else label
        for place, label in labels.items()
    }
    return [labels.get(place) for place in range(len(runs))]


def _label(config: Flat, keys: Sequence[str], names: Mapping[str, str], files: Mapping[str, str]) -> Label:
    named = [("data set", _dataset(config))]
    named += [(part, as_text(config[f"{part}.name"])) for part in ("attack", "defense") if config.get(f"{part}.name")]
    further = {key: (names[key], as_value(key, config.get(key))) for key in keys if key in names}
    unattacked = [pair for key, pair in further.items() if not key.startswith("attack.")]
    return Label(
        model=" ".join([config[_MODEL], *_model_marks(config, keys, files)]),
        setting=(*named, *further.values()),
        unattacked=(*(pair for pair in named if pair[0] != "attack"), *unattacked),
        seed=tuple((name, as_text(config[name])) for name in sorted(config) if is_seed(name)),
    )


def as_value(key: str, value: Any) -> str:
    """A value of a setting as text; a bound that is a whole number of grey levels as such: "8/255"."""
    if _NAMES.get(key) == BOUND and isinstance(value, int | float) and 0 < value < 1:
        levels = round(value * 255, 6)
        return f"{levels:g}/255" if levels in (0.25, 0.5) or levels == int(levels) else as_text(value)
    return as_text(value)


def _distinguishing_keys(config: Flat, configs: Iterable[Flat], varying: Sequence[str]) -> list[str]:
    """Keys worth naming: of each section what differs between those of its name, of the rest what differs at all."""
    found = [key for key in _NAMES if key in config]
    for key in varying:
        if key in (*found, *_NAMED, _MODEL) or is_seed(key):
            continue
        name = _NAME_OF.get(key.partition(".")[0])
        alike = [other for other in configs if name is None or other.get(name) == config.get(name)]
        if len({as_text(other.get(key)) for other in alike}) > 1:
            found.append(key)
    return found


def _short_names(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each key, or all of it where that is ambiguous or the name of another column of a table."""
    short = {key: _NAMES.get(key, key.rpartition(".")[2]) for key in keys}
    uses = Counter([*short.values(), *_COLUMNS])
    return {key: name if uses[name] == 1 else key.replace(".kwargs", "") for key, name in short.items()}


def _model_label(run: RunResult) -> str:
    """A model's name: as its sweep calls it, else the name of its function, or of what makes an external tracker."""
    if isinstance(run.labels.get("model"), str):
        return str(run.labels["model"])
    if isinstance(factory := run.setting("model", "model_kwargs", "factory"), str):
        return factory.rpartition(".")[2]
    name = str(run.setting("model", "name") or "")
    return name.removeprefix("siamrpn_").upper() if name.startswith("siamrpn_") else name or "unnamed model"


def _has_weights(config: Flat) -> bool:
    return isinstance(config.get("model.weights_file"), str)


def _short_files(paths: Iterable[str]) -> dict[str, str]:
    """The name of each weights file without its suffix, or its whole path where files in several folders have it."""
    short = {path: path.rpartition("/")[2].rsplit(".", 1)[0] for path in paths}
    uses = Counter(short.values())
    return {path: name if uses[name] == 1 else path for path, name in short.items()}


def _model_marks(config: Flat, keys: Sequence[str], files: Mapping[str, str]) -> list[str]:
    """What distinguishes models of one name: weights by the name of their file, the rest by key and value."""
    values = {key.removeprefix("model."): as_text(config.get(key)) for key in keys if key.startswith("model.")}
    return [
        files.get(value, value) if key == "weights_file" else f"{key.rpartition('.')[2]} {value}"
        for key, value in values.items()
    ]


def _dataset(config: Flat) -> str:
    return " ".join(as_text(config[key]) for key in ("dataset.name", "dataset.eval_split") if config.get(key)) or "–"
