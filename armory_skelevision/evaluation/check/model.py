"""A config's model: made as the evaluation would make it, with its weights, on the CPU."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, error, explain, has_errors, unknown_keys, warning
from armory_skelevision.evaluation.check.names import find_object, is_ours
from armory_skelevision.evaluation.configs import HOOK
from armory_skelevision.validation import MissingFileError, StructuredError
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
    if has_errors(findings):
        return None, findings
    key = json.dumps([section, str(path)], sort_keys=True)
    try:
        if key not in made:
            made[key] = factory(section["model_kwargs"], _on_cpu(section["wrapper_kwargs"]), path)
    except Exception as raised:  # a value of the wrong type can raise anything
        return None, [*findings, _explain(raised, section, path)]
    return made[key], findings + _check_backdoor(config, path)


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
        # ARMORY has weights of its own models in its store; those with a backdoor are for the user to train
        optional = not ours or config["scenario"]["name"] == "BackdoorTracking"
        return None, [finding._replace(level="warning") if optional else finding]
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
    if isinstance(raised, MissingFileError) and section["weights_file"] is None:
        # the config is right; the weights that it asks for do not come with the package
        return explain("model", raised, "")._replace(level="warning")
    if path is not None and isinstance(raised, StructuredError) and raised.key.startswith(str(path)):
        finding = explain("", raised, "")
        fix = finding.fix or "run `skelevision weights verify` on it, or name another file"
        return error(WEIGHTS, f"{path}: {finding.problem}", fix)
    return explain("model", raised, f"see {section['module']}.{section['name']}")


def _check_backdoor(config: Mapping[str, Any], path: Path | None) -> list[Finding]:
    metadata = read_metadata(path) if path is not None else None
    scenario = f"{config['scenario']['module']}.{config['scenario']['name']}".lower()
    if metadata is None or not metadata.backdoor or "backdoor" in scenario or "poison" in scenario:
        return []
    problem = f"the metadata of {path} declare a backdoor: its scores are not those of an honest tracker"
    return [warning(WEIGHTS, problem, "name other weights, or a scenario about backdoors")]
