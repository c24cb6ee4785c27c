"""All checks of a config, and of the machine: what `skelevision check` runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import Finding, fault, find_strangers
from armory_skelevision.evaluation.check.machine import FOLDERS, check_machine
from armory_skelevision.io import parse_json


def check_all(configs: Sequence[Path]) -> list[Finding]:
    """What is wrong with this machine, and with configs on it.

    Modules that configs name are imported, as a run would import them, but for our own configs' metrics and scenarios.

    Args:
        configs: JSON files.
    """
    with as_in_a_run():
        findings = check_machine()
        if any(finding.key == FOLDERS for finding in findings):
            return findings  # weights and data are looked for there
        made: dict[str, Any] = {}
        for path in configs:
            findings += [finding._replace(where=str(path)) for finding in check_file(path, made)]
    return findings


def check_file(path: Path, made: dict[str, Any] | None = None) -> list[Finding]:
    """What is wrong with a config file; otherwise as `check_config`."""
    try:
        config = parse_json(path.read_bytes())
    except OSError as error:
        return [fault("file", f"cannot be read ({error.strerror})", "Name a JSON file")]
    except ValueError as error:
        return [fault("file", f"is not JSON: {error}", "Correct it there")]
    return check_config(config, made)


def check_config(config: Any, made: dict[str, Any] | None = None) -> list[Finding]:
    """What is wrong with a config. To be called in the surroundings of a run (`surroundings.as_in_a_run`).

    Args:
        config: What its file holds.
        made: The models made for other configs, see `model.check_model`; None for none.
    """
    findings = check_schema(config)
    if any(finding.level == "fault" for finding in findings):
        return findings
    # here, since all that follows needs torch and ART
    from armory_skelevision.evaluation.check.attack_defense import check_attack, check_defense
    from armory_skelevision.evaluation.check.dataset import check_dataset
    from armory_skelevision.evaluation.check.model import check_model
    from armory_skelevision.evaluation.check.sysconfig import check_hook, check_metric, check_scenario, check_system

    model = check_model(config, {} if made is None else made)
    return [
        *findings,
        *model.findings,
        *check_defense(config, model.estimator),
        *check_attack(config, model.estimator),
        *check_dataset(config),
        *check_metric(config),
        *check_scenario(config),
        *check_hook(config),
        *check_system(config),
    ]


def check_schema(config: Any) -> list[Finding]:
    """Where a config departs from ARMORY's schema, all places at once."""
    import jsonschema
    from armory.utils.configuration import DEFAULT_SCHEMA

    schema = json.loads(Path(DEFAULT_SCHEMA).read_text(encoding="utf-8"))
    errors = jsonschema.Draft7Validator(schema).iter_errors(config)
    # the validator tells every absent key by itself, and all of them each time
    findings = list(dict.fromkeys(_explain(inner) for error in errors for inner in _descend(error)))
    known = list(schema["properties"])
    return findings + (find_strangers("", config, known, "warning", "ARMORY") if isinstance(config, Mapping) else [])


def _descend(error: Any) -> list[Any]:
    """Of alternatives that all failed, the errors of the one that the config came nearest to."""
    if not error.context:
        return [error]
    tried: dict[int, list[Any]] = {}
    for inner in error.context:
        tried.setdefault(inner.schema_path[0], []).append(inner)
    nearest = max(tried.values(), key=lambda errors: max(len(inner.absolute_path) for inner in errors))
    return [deeper for inner in nearest for deeper in _descend(inner)]


def _explain(error: Any) -> Finding:
    key = ".".join(str(part) for part in error.absolute_path) or "config"
    if error.validator == "required":
        absent = [name for name in error.validator_value if name not in error.instance]
        return fault(key, f"lacks {', '.join(map(repr, absent))}", f"Add {'it' if len(absent) == 1 else 'them'}")
    manners = {"type": "type", "enum": "one of", "minimum": "at least", "pattern": "text of the form"}
    value = error.validator_value
    wanted = " or ".join(map(str, value)) if isinstance(value, list) else value
    told = manners.get(error.validator, error.validator)
    return fault(key, f"got {error.instance!r:.80}", f"Expected {told} {wanted}")
