"""All checks of a config, and of the machine: what `skelevision check` runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import Finding, error, explain, has_errors, unknown_keys
from armory_skelevision.evaluation.check.machine import CONFIGURATION, check_machine
from armory_skelevision.io import printable, read_json
from armory_skelevision.validation import StructuredError


def check_all(configs: Sequence[Path]) -> list[Finding]:
    """What is wrong with this machine, and with configs on it.

    Modules that configs name are imported, as a run would import them, but for our own configs' metrics and scenarios.
    External trackers are made.
    """
    with as_in_a_run():
        findings = check_machine()
        if any(finding.key == CONFIGURATION for finding in findings):
            return findings  # weights and data are looked for in these folders
        made: dict[str, Any] = {}
        for path in configs:
            found = _guarded("file", check_file, path, made)
            if not has_errors(found) and not any(finding.key.startswith("dataset") for finding in found):
                found += _guarded("attack", _note_reach, path, made)
            findings += [finding._replace(where=printable(path)) for finding in found]
    return findings


def check_file(path: Path, made: dict[str, Any] | None = None) -> list[Finding]:
    """What is wrong with a config file; otherwise as `check_config`."""
    try:
        config = read_json(path)
    except StructuredError as raised:
        return [error("file", f"expected {raised.expected}, got {raised.got}", raised.fix)]
    findings = check_config(config, made)
    if has_errors(findings):
        return findings
    from armory_skelevision.evaluation.check.attack_defense import check_export

    return findings + _guarded("attack", check_export, config)


def check_config(config: Any, made: dict[str, Any] | None = None) -> list[Finding]:
    """What is wrong with a config. To be called in the environment of a run (`as_in_a_run`).

    Args:
        config: What its file holds.
        made: The models and defenses made for other configs, see `model.check_model`; None for none.
    """
    made = {} if made is None else made
    findings = _guarded("config", check_schema, config)
    if has_errors(findings):
        return findings
    # imported here, since all that follows needs torch and ART
    from armory_skelevision.evaluation.check.attack_defense import check_attack, check_defense
    from armory_skelevision.evaluation.check.dataset import check_dataset
    from armory_skelevision.evaluation.check.metric_scenario import check_hook, check_metric, check_scenario
    from armory_skelevision.evaluation.check.model import check_model
    from armory_skelevision.evaluation.check.sysconfig import check_system
    from armory_skelevision.evaluation.check.together import check_together

    models: list[Any] = [None]

    def make_model() -> list[Finding]:
        models[0], found = check_model(config, made)
        return found

    findings += _guarded("model", make_model)
    findings += _guarded("defense", check_defense, config, models[0], made)
    findings += _guarded("attack", check_attack, config, models[0])
    sections = {
        "dataset": check_dataset,
        "metric": check_metric,
        "scenario": check_scenario,
        "user_init": check_hook,
        "sysconfig": check_system,
    }
    for section, check in sections.items():
        findings += _guarded(section, check, config)
    return findings if has_errors(findings) else findings + _guarded("config", check_together, config, models[0])


def _note_reach(path: Path, made: dict[str, Any]) -> list[Finding]:
    from armory_skelevision.evaluation.check.reach import note_reach  # which needs torch and ART

    return note_reach(path, made)


def _guarded(section: str, check: Callable[..., list[Finding]], *arguments: Any) -> list[Finding]:
    """The findings of a check; an exception that it does not foresee becomes one, so that no other is lost."""
    try:
        return check(*arguments)
    except Exception as raised:
        finding = explain(section, raised, "see whether a value of this section is of the wrong type")
        return [finding if isinstance(raised, StructuredError) else finding._replace(problem=repr(raised)[:300])]


def check_schema(config: Any) -> list[Finding]:
    """Where a config departs from ARMORY's schema, all places at once."""
    validator = _read_schema()
    failures = validator.iter_errors(config)
    # the validator reports every absent key by itself, with all of them each time
    findings = list(dict.fromkeys(_explain(inner) for failure in failures for inner in _descend(failure)))
    known = list(validator.schema["properties"])
    if isinstance(config, Mapping) and not isinstance(
        config.get("scenario", {}), Mapping
    ):  # ARMORY's schema forgets it
        findings.append(error("scenario", f"expected type object, got {config['scenario']!r:.80}"))
    return findings + (unknown_keys("", config, known, "warning") if isinstance(config, Mapping) else [])


@cache
def _read_schema() -> Any:
    """The validator of ARMORY's schema; a sweep checks thousands of configs by it."""
    import jsonschema
    from armory.utils.configuration import DEFAULT_SCHEMA

    return jsonschema.Draft7Validator(json.loads(Path(DEFAULT_SCHEMA).read_text(encoding="utf-8")))


def _descend(failure: Any) -> list[Any]:
    """Of alternatives that all failed, the failures of the one that the config came nearest to."""
    if not failure.context:
        return [failure]
    tried: dict[int, list[Any]] = {}
    for inner in failure.context:
        tried.setdefault(inner.schema_path[0], []).append(inner)
    nearest = max(tried.values(), key=lambda errors: max(len(inner.absolute_path) for inner in errors))
    return [deeper for inner in nearest for deeper in _descend(inner)]


def _explain(failure: Any) -> Finding:
    key = ".".join(str(part) for part in failure.absolute_path) or "config"
    if failure.validator == "required":
        absent = [name for name in failure.validator_value if name not in failure.instance]
        return error(key, f"expected a value for {', '.join(map(repr, absent))}, got none")
    words = {"type": "type", "enum": "one of", "minimum": "at least", "pattern": "text of the form"}
    value = failure.validator_value
    wanted = " or ".join(map(str, value)) if isinstance(value, list) else value
    expected = f"{words.get(failure.validator, failure.validator)} {wanted}"
    return error(key, f"expected {expected}, got {failure.instance!r:.80}")
