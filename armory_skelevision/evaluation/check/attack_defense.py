"""A config's attack and defense: made around the model as the evaluation would make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, explain, fault, find_strangers
from armory_skelevision.evaluation.check.names import check_arguments, find_object, is_ours

ATTACK_KEYS = (
    *("generate_kwargs", "knowledge", "kwargs", "module", "name", "sweep_params", "targeted", "targeted_labels"),
    *("type", "use_label"),
)
DEFENSE_KEYS = ("kwargs", "module", "name", "type")
TRUSTED = ("armory_skelevision", "armory", "art")
"""Packages whose defenses are cheap to make, and say at once what they do not take."""


def check_defense(config: Mapping[str, Any], estimator: Any) -> list[Finding]:
    """What keeps the defense from being made, and put before the model.

    Args:
        config: One that fits ARMORY's schema.
        estimator: The model; the defense is put before it. None if there is none to be had.
    """
    section = config["defense"]
    if estimator is not None:
        estimator.set_params(preprocessing_defences=[])  # of the config before, if it serves again
    if section is None:
        return []
    findings = find_strangers("defense", section, DEFENSE_KEYS, "warning", "ARMORY")
    if section["type"] != "Preprocessor":
        findings.append(fault("defense.type", f"got {section['type']!r}", "Trackers take a 'Preprocessor'"))
    made, found = find_object("defense", section["module"], section["name"])
    findings += found
    if made is None:
        return findings
    findings += check_arguments("defense.kwargs", made, section["kwargs"])
    if any(finding.level == "fault" for finding in findings) or section["module"].split(".")[0] not in TRUSTED:
        return findings
    kwargs = dict(section["kwargs"])
    if isinstance(kwargs.get("clip_values"), list):
        kwargs["clip_values"] = tuple(kwargs["clip_values"])  # as ARMORY does
    try:
        defense = made(**kwargs)
        if estimator is not None:
            estimator.set_params(preprocessing_defences=[defense])
    except Exception as error:  # whatever ART and ARMORY make of wrong values
        findings.append(explain("defense.kwargs", error, f"See {section['module']}.{section['name']}"))
    return findings


def check_attack(config: Mapping[str, Any], estimator: Any) -> list[Finding]:
    """What keeps the attack from being made, or from ever starting.

    Args:
        config: One that fits ARMORY's schema.
        estimator: The model, behind the defense; None if there is none to be had.
    """
    section = config["attack"]
    if section is None:
        mend = "Name an attack; `armory run --skip-attack` leaves it out"
        return [fault("attack", "ARMORY's tracking scenario fails without one", mend)]
    findings = find_strangers("attack", section, ATTACK_KEYS, "warning", "ARMORY")
    made, found = find_object("attack", section["module"], section["name"])
    findings += found
    if made is None:
        return findings
    findings += check_arguments("attack.kwargs", made, section["kwargs"], positional=1)
    if not is_ours(section["module"]):
        return findings
    if section.get("use_label") is not True:
        findings.append(fault("attack.use_label", "the attack needs the true boxes", 'Say "use_label": true'))
    findings += _check_start(section["kwargs"])
    if estimator is None or any(finding.level == "fault" for finding in findings):
        return findings
    try:
        attack = made(estimator, **section["kwargs"])
    except Exception as error:  # a value of the wrong type ends anywhere
        return [*findings, explain("attack.kwargs", error, f"See {section['module']}.{section['name']}")]
    return findings + _check_reach(attack, estimator)


def _check_start(kwargs: Mapping[str, Any]) -> list[Finding]:
    start = kwargs.get("patch_init")
    if start is None or Path(start).exists():
        return []
    return [fault("attack.kwargs.patch_init", f"there is no {start}", "Name a .npy or .png file, or a folder of them")]


def _check_reach(attack: Any, estimator: Any) -> list[Finding]:
    from armory_skelevision.attacks.digital.online import OnlineAttack

    names = [type(operation).__name__ for operation in estimator.frame_operations]
    if not names or not isinstance(attack, OnlineAttack):
        return []
    problem = f"{type(attack).__name__} works frame by frame and cannot see through {', '.join(names)}"
    return [fault("attack", problem, 'Attack with PGD, or say "defense": null')]
