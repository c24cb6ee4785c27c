"""A config's metric, scenario, and the hook that runs before the model loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, error, unknown_keys, warning
from armory_skelevision.evaluation.check.names import find_object, is_ours, is_shipped
from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.validation import suggest

METRIC_KEYS = (
    *("max_record_size", "means", "perturbation", "profiler_type", "record_metric_per_sample", "task", "task_kwargs"),
)
SCENARIO_KEYS = ("export_batches", "kwargs", "module", "name")
GIVEN = ("config", "num_eval_batches", "skip_benign", "skip_attack", "skip_misclassified", "check_run")
"""What ARMORY itself gives to a scenario."""


def check_metric(config: Mapping[str, Any]) -> list[Finding]:
    """Whether every metric that is named exists, in ARMORY or in an importable module."""
    section = config["metric"]
    if section is None:
        return [error("metric", "expected a metric, got null", f'add "task": ["{METRIC}"] in a "metric" section')]
    findings = unknown_keys("metric", section, METRIC_KEYS)
    for key in ("task", "perturbation"):
        names = [section[key]] if isinstance(section[key], str) else section[key]
        findings += [finding for name in names for finding in _find_metric(f"metric.{key}", name)]
    if not findings and METRIC not in section["task"]:
        findings.append(warning("metric.task", f"{METRIC} is missing", "add it: the summary and the report need it"))
    return findings


def _find_metric(key: str, name: str) -> list[Finding]:
    if is_shipped(name):
        return []
    from armory import metrics

    if metrics.is_supported(name):
        return []
    if "." not in name:
        return [error(key, f"ARMORY has no metric {name!r}", suggest(name, sorted(metrics.supported._names())))]
    module, _, attribute = name.rpartition(".")
    return [finding._replace(key=key) for finding in find_object(key, module, attribute)[1]]


def check_scenario(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the scenario exists, takes its arguments, and is one of trackers."""
    section = config["scenario"]
    findings = []
    if "export_samples" in section:
        findings.append(warning("scenario.export_samples", "it has no effect", 'set "export_batches": 1 instead'))
    keys = [key for key in section if key != "export_samples"]
    findings += unknown_keys("scenario", keys, SCENARIO_KEYS, "warning")
    batches = section.get("export_batches", 0)
    if not isinstance(batches, int) or batches < 0:
        findings.append(error("scenario.export_batches", f"expected a whole number or true, got {batches!r}"))
    if not section["kwargs"] and is_shipped(f"{section['module']}.{section['name']}"):
        return findings
    kwargs = {**dict.fromkeys(GIVEN), **section["kwargs"]}
    made, found = find_object("scenario", section["module"], section["name"], kwargs)
    findings += found
    if made is not None and is_ours(config["model"]["module"]) and not hasattr(made, "evaluate"):
        findings.append(error("scenario.name", f"{made.__name__} is no scenario", "set 'CarlaVideoTracking'"))
    return findings


def check_hook(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the function that runs before the model loads exists, and takes its arguments."""
    section = config.get("user_init")
    if section is None:
        return []
    if not isinstance(section, Mapping) or not isinstance(section.get("module"), str):
        wanted = '{"kwargs": {}, "module": …, "name": …}, or null'
        return [error("user_init", f"expected {wanted}, got {section!r}")]
    if not section.get("name"):
        return [warning("user_init.name", "the module is imported, but nothing is called", "name a function")]
    return find_object("user_init", section["module"], section["name"], section.get("kwargs") or {})[1]
