"""A config's attack and defense: made around the model as the evaluation would make them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.patch.files import refuse_exported
from armory_skelevision.evaluation.check.findings import Finding, error, explain, has_errors, unknown_keys
from armory_skelevision.evaluation.check.names import find_object, is_ours
from armory_skelevision.validation import InvalidValueError, check_arguments

ATTACK_KEYS = (
    *("generate_kwargs", "knowledge", "kwargs", "module", "name", "sweep_params", "targeted", "targeted_labels"),
    *("type", "use_label"),
)
DEFENSE_KEYS = ("kwargs", "module", "name", "type")
GENERATED = ("self", "x", "y", "y_patch_metadata", "kwargs")
"""Arguments of `generate` that ARMORY gives, or that take anything."""
TRUSTED = ("armory_skelevision", "armory", "art")
"""Packages whose defenses are cheap to make, and refuse at once what they cannot take."""


def check_defense(config: Mapping[str, Any], estimator: Any, made: dict[str, Any]) -> list[Finding]:
    """What keeps the defense from being made; where it can be, it is put before the model, if that could be made.

    ``made`` has the defenses of other configs, which serve again where they would be the same; the new one is added.
    """
    section = config["defense"]
    if estimator is not None:
        estimator.set_params(preprocessing_defences=[])  # of an earlier config with the same model
    if section is None:
        return []
    findings = unknown_keys("defense", section, DEFENSE_KEYS, "warning")
    if section["type"] != "Preprocessor":
        findings.append(error("defense.type", f"expected 'Preprocessor' for a tracker, got {section['type']!r}"))
    maker, found = find_object("defense", section["module"], section["name"], section["kwargs"])
    findings += found
    if has_errors(findings) or section["module"].split(".")[0] not in TRUSTED:
        return findings
    kwargs = dict(section["kwargs"])
    if isinstance(kwargs.get("clip_values"), list):
        kwargs["clip_values"] = tuple(kwargs["clip_values"])  # as ARMORY does
    key = json.dumps(section, sort_keys=True, default=str)
    try:
        if key not in made:
            made[key] = maker(**kwargs)
        if estimator is not None:
            estimator.set_params(preprocessing_defences=[made[key]])
    except Exception as raised:  # ART and ARMORY raise any kind of exception for wrong values
        findings.append(explain("defense.kwargs", raised, f"see {section['module']}.{section['name']}"))
    return findings


def check_attack(config: Mapping[str, Any], estimator: Any) -> list[Finding]:
    """What keeps the attack from being made on the model behind its defense, or from ever starting."""
    section = config["attack"]
    if section is None:
        return [error("attack", "expected an attack, got null", "`armory run --skip-attack` leaves it out")]
    findings = unknown_keys("attack", section, ATTACK_KEYS, "warning")
    made, found = find_object("attack", section["module"], section["name"], section["kwargs"], positional=1)
    findings += found
    if made is None or not is_ours(section["module"]):
        return findings
    if section.get("use_label") is not True:
        findings.append(error("attack.use_label", "expected true: the attack needs the true boxes"))
    if section.get("type") is not None:
        findings.append(error("attack.type", f"expected none, got {section['type']!r}", "take it out"))
    findings += _check_generate(made, section.get("generate_kwargs", {}))
    if has_errors(findings):
        return findings
    try:
        if estimator is None:
            check_arguments(made, section["kwargs"])
            return findings
        attack = made(estimator, **section["kwargs"])
    except Exception as raised:  # a value of the wrong type can raise anything
        return [*findings, explain("attack.kwargs", raised, f"see {section['module']}.{section['name']}")]
    return findings + _check_frame_operations(attack, estimator)


def check_export(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the patch attack will refuse to run, since there are patches in its folder already.

    That is so for a config that is run as it is. Sweeps and submissions have a folder for each run.
    """
    section = config["attack"]
    if section is None or section["name"] != PatchAttack.__name__ or not is_ours(section["module"]):
        return []
    try:
        if section["kwargs"].get("export") is not None:
            refuse_exported(section["kwargs"]["export"], "patch_000")
    except InvalidValueError as raised:
        return [explain("attack.kwargs", raised, "")]
    return []


def _check_generate(attack: Any, kwargs: Any) -> list[Finding]:
    """Arguments that ARMORY passes to `generate` beside the videos and their labels."""
    key = "attack.generate_kwargs"
    if not isinstance(kwargs, Mapping):
        return [error(key, f"expected an object, got {kwargs!r}", "take it out")]
    known = [name for name in inspect.signature(attack.generate).parameters if name not in GENERATED]
    return unknown_keys(key, kwargs, known)


def _check_frame_operations(attack: Any, estimator: Any) -> list[Finding]:
    """Attacks that work frame by frame cannot differentiate a defense of whole videos."""
    from armory_skelevision.attacks.digital.online import OnlineAttack

    names = [type(operation).__name__ for operation in estimator.frame_operations]
    if not names or not isinstance(attack, OnlineAttack):
        return []
    problem = f"{type(attack).__name__} works on single frames and cannot attack through {', '.join(names)}"
    return [error("attack", problem, 'attack with PGD, or set "defense": null')]
