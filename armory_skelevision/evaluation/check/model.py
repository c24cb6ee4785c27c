"""A config's model: made as the evaluation would make it, with its weights, on the CPU."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.check.findings import Finding, explain, fault, find_strangers, warning
from armory_skelevision.evaluation.check.names import check_arguments, find_object, is_ours
from armory_skelevision.weights import read_metadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS
from armory_skelevision.weights.resolve import saved_model_dir

KNOWN = ("fit", "fit_kwargs", "model_kwargs", "module", "name", "predict_kwargs", "weights_file", "wrapper_kwargs")
PREPARE = {"kwargs": {}, "module": "armory_skelevision.evaluation.armory_hooks", "name": "prepare_run"}
"""The hook that puts packaged weights in place."""


class Model(NamedTuple):
    """What came of a config's model."""

    estimator: Any
    """None where it is not one of ours, or could not be made."""
    findings: list[Finding]


def check_model(config: Mapping[str, Any], made: dict[str, Any]) -> Model:
    """Make the model of a config, and say what keeps it from being made.

    Args:
        config: One that fits ARMORY's schema.
        made: Models of other configs, which serve again where they would be the same; the new one is added.
    """
    section = config["model"]
    findings = find_strangers("model", section, KNOWN, "warning", "ARMORY")
    path, found = find_weights_file(config)
    findings += found
    factory, found = find_object("model", section["module"], section["name"])
    findings += found
    if factory is None:
        return Model(None, findings)
    if not is_ours(section["module"]):
        return Model(None, findings + check_arguments("model", factory, {}, positional=3))
    if section["fit"]:
        findings.append(fault("model.fit", "our trackers are not trained by ARMORY", 'Say "fit": false'))
    if any(finding.level == "fault" for finding in findings):
        return Model(None, findings)
    key = json.dumps([section, str(path)], sort_keys=True)
    try:
        if key not in made:
            made[key] = factory(section["model_kwargs"], _on_cpu(section["wrapper_kwargs"]), path)
    except Exception as error:  # a value of the wrong type ends anywhere
        return Model(None, [*findings, _explain(error, section, path)])
    return Model(made[key], findings + _check_backdoor(config, path))


def find_weights_file(config: Mapping[str, Any]) -> tuple[Path | None, list[Finding]]:
    """The file that a config's ``weights_file`` will be when the model loads, and what is wrong with it.

    None, without a finding, where the config leaves it to the model to find its own.
    """
    name, key = config["model"]["weights_file"], "model.weights_file"
    if name is None:
        return None, []
    if not isinstance(name, str):
        if not is_ours(config["model"]["module"]):
            return None, []
        return None, [fault(key, f"got {name!r}", "Name one file, or say null for the packaged weights")]
    path, packaged = saved_model_dir() / name, PACKAGED_WEIGHTS / name
    travels = packaged.is_file() and not Path(name).is_absolute()
    if path.is_file():
        if travels and not filecmp.cmp(path, packaged, shallow=False):
            problem = f"{path} differs from the weights of that name that come with this version, and will be used"
            return path, [warning(key, problem, "Delete or rename it to get the packaged weights")]
        return path, []
    if not travels:
        if config["scenario"]["name"] == "BackdoorTracking":  # which are for the user to train
            command = "`skelevision train backdoor training_configs/backdoors/fsba.json` (docs/backdoors.md)"
            mend = f"Train them, {command}, and put them there"
            return None, [warning(key, f"there is no {path}", mend)]
        # for models of others ARMORY has weights in its own store
        told = fault if is_ours(config["model"]["module"]) else warning
        return None, [told(key, f"there is no {path}", _advise(name))]
    if not config.get("user_init"):  # whether another hook is the right one is checked with the hook
        mend = f'Say "user_init": {json.dumps(PREPARE)}'
        return None, [fault("user_init", f"nothing puts the packaged {name} into {path.parent} before the run", mend)]
    return packaged, []


def _advise(name: str) -> str:
    known = next((source for source in WEIGHTS.values() if source.file == name), None)
    if known is not None:
        return f"Run `skelevision weights fetch {known.name}`"
    packaged = ", ".join(sorted(path.name for path in PACKAGED_WEIGHTS.glob("*.safetensors")))
    return f"Put the file there, give an absolute path, or name packaged weights: {packaged}"


def _on_cpu(wrapper_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    # nothing is computed here, and another run may need the GPU's memory; a wrong name stays to be refused
    wanted = wrapper_kwargs.get("device_type", "gpu")
    return {**wrapper_kwargs, "device_type": "cpu" if wanted == "gpu" else wanted}


def _explain(error: Exception, section: Mapping[str, Any], path: Path | None) -> Finding:
    if section["weights_file"] is None and "weights_path" in str(error):
        # the config is right; what it asks for is not ours to bring
        return explain("model.weights_file", error, "")._replace(level="warning")
    if path is not None and str(path) in str(error):
        return explain("model.weights_file", error, "Run `skelevision weights verify` on it, or name another file")
    return explain("model", error, f"See {section['module']}.{section['name']}")


def _check_backdoor(config: Mapping[str, Any], path: Path | None) -> list[Finding]:
    metadata = read_metadata(path) if path is not None else None
    scenario = f"{config['scenario']['module']}.{config['scenario']['name']}".lower()
    if metadata is None or not metadata.backdoor or "backdoor" in scenario or "poison" in scenario:
        return []
    problem = f"{path} says of itself that it carries a backdoor: its scores are not those of an honest tracker"
    return [warning("model.weights_file", problem, "Name other weights, or a scenario about backdoors")]
