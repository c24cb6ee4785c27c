"""A config's model: made as the evaluation would make it, with its weights, on the CPU."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.findings import (
    Finding,
    error,
    explain,
    has_errors,
    stops,
    unknown_keys,
    warning,
)
from armory_skelevision.evaluation.check.names import find_object, is_ours
from armory_skelevision.evaluation.check.stand_in import make_stand_in
from armory_skelevision.evaluation.configs import HOOK
from armory_skelevision.validation import Count, MissingFileError, StructuredError, check_value
from armory_skelevision.weights.loading import read_metadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.resolve import resolve, saved_model_dir

KEYS = ("fit", "fit_kwargs", "model_kwargs", "module", "name", "predict_kwargs", "weights_file", "wrapper_kwargs")
WEIGHTS = "model.weights_file"


def check_model(config: Mapping[str, Any], made: dict[str, Any]) -> tuple[Any, list[Finding]]:
    """A config's model, or None where it is not one of ours or could not be made, and what is wrong with it.

    ``made`` has the models of other configs, which serve again where they would be the same; the new one is added.
    """
    section = config["model"]
    findings = unknown_keys("model", section, KEYS, "warning")
    path, found = find_weights_file(config)
    findings += found
    factory, found = find_object("model", section["module"], section["name"], {}, positional=3)
    findings += found
    if factory is None or not is_ours(section["module"]):
        return None, findings
    if section["fit"]:
        findings.append(error("model.fit", "expected false, got true: ARMORY does not train our trackers"))
    findings += _check_predict(section.get("predict_kwargs", {}))
    if has_errors(findings):
        return None, findings
    key = json.dumps([section, str(path)], sort_keys=True, default=str)
    try:
        if key not in made:
            made[key] = _make(factory, section, None if stops(findings) else path, stops(findings))
    except MissingFileError as raised:  # of weights that the model finds by itself
        return make_stand_in(section), [*findings, explain("model", raised, "")]
    except Exception as raised:  # a value of the wrong type can raise anything
        return None, [*findings, _explain(raised, section, path)]
    return made[key], findings + _check_backdoor(config, path)


def _make(factory: Callable[..., Any], section: Mapping[str, Any], path: Path | None, absent: bool) -> Any:
    if absent:
        return make_stand_in(section)
    return factory(section["model_kwargs"], _on_cpu(section["wrapper_kwargs"]), path)


def _check_predict(kwargs: Any) -> list[Finding]:
    """Arguments that ARMORY passes to `predict` beside the videos and the first boxes."""
    if not isinstance(kwargs, Mapping):
        return [error("model.predict_kwargs", f"expected an object, got {kwargs!r}", "take it out")]
    findings = unknown_keys("model.predict_kwargs", kwargs, ["batch_size"])
    try:
        check_value("batch_size", kwargs.get("batch_size", 1), Count)
    except StructuredError as raised:
        findings.append(explain("model.predict_kwargs", raised, ""))
    return findings


def find_weights_file(config: Mapping[str, Any]) -> tuple[Path | None, list[Finding]]:
    """The file that a config's ``weights_file`` will be when the model loads, and what is wrong with it.

    None, without a finding, where the config leaves it to the model to find its own.
    """
    name, ours = config["model"]["weights_file"], is_ours(config["model"]["module"])
    if name is None or not (isinstance(name, str) or ours):
        return None, []
    if not isinstance(name, str):
        return None, [error(WEIGHTS, f"expected the name of one file, or null for the packaged weights, got {name!r}")]
    try:
        path = resolve(name, by_armory=True)
    except MissingFileError as raised:
        finding = explain("model", raised, "")
        return None, [finding if ours else finding._replace(level="warning")]  # ARMORY fetches those of its own models
    packaged, folder = PACKAGED_WEIGHTS / name, saved_model_dir()
    if path == packaged != folder / name:
        if not config.get("user_init"):  # whether another hook is the right one is checked with the hook
            problem = f"nothing copies the packaged {name} to {folder} before the run"
            return None, [error("user_init", problem, f'set "user_init": {json.dumps(HOOK)}')]
    elif packaged.is_file() and not Path(name).is_absolute() and not filecmp.cmp(path, packaged, shallow=False):
        problem = f"{path} differs from the weights of that name that come with this version, and will be used"
        return path, [warning(WEIGHTS, problem, "delete or rename it to get the packaged weights")]
    return path, []


def _on_cpu(wrapper_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    # nothing is computed here, and another run may need the GPU's memory; a wrong name stays to be refused
    wanted = wrapper_kwargs.get("device_type", "gpu")
    return {**wrapper_kwargs, "device_type": "cpu" if wanted == "gpu" else wanted}


def _explain(raised: Exception, section: Mapping[str, Any], path: Path | None) -> Finding:
    if path is not None and isinstance(raised, StructuredError) and raised.key.startswith(str(path)):
        finding = explain("", raised, "")
        fix = finding.fix or "run `skelevision weights verify` on it, or name another file"
        return error(WEIGHTS, f"{path}: {finding.problem}", fix)
    return explain("model", raised, f"see {section['module']}.{section['name']}")


def _check_backdoor(config: Mapping[str, Any], path: Path | None) -> list[Finding]:
    metadata = read_metadata(path) if path is not None else None
    section = config["scenario"] if isinstance(config["scenario"], Mapping) else {}
    scenario = f"{section.get('module')}.{section.get('name')}".lower()
    if metadata is None or not metadata.backdoor or "backdoor" in scenario or "poison" in scenario:
        return []
    problem = f"the metadata of {path} declare a backdoor: its scores are not those of an honest tracker"
    return [warning(WEIGHTS, problem, "name other weights, or a scenario about backdoors")]
