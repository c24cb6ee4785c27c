"""A config's metric, scenario, and the hook that runs before the model loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, error, unknown_keys, warning
from armory_skelevision.evaluation.check.names import check_arguments, find_object, is_ours, is_shipped
from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.validation import suggest

METRIC_KEYS = (
    *("max_record_size", "means", "perturbation", "profiler_type", "record_metric_per_sample", "task", "task_kwargs"),
)
SCENARIO_KEYS = ("export_batches", "kwargs", "module", "name")
GIVEN = ("config", "num_eval_batches", "skip_benign", "skip_attack", "skip_misclassified", "check_run")
"""What ARMORY itself gives to a scenario."""


SMALL_RECORD = 2**16
"""Bytes that the boxes of a short video take in ARMORY's results."""


def check_metric(config: Mapping[str, Any]) -> list[Finding]:
    """Whether every metric that is named exists, in ARMORY or in an importable module."""
    section = config["metric"]
    if section is None:
        return [error("metric", "expected a metric, got null", f'add "task": ["{METRIC}"] in a "metric" section')]
    findings = unknown_keys("metric", section, METRIC_KEYS)
    for key in ("task", "perturbation"):
        names = [section[key]] if isinstance(section[key], str) else section[key]
        findings += [finding for name in names for finding in _find_metric(f"metric.{key}", name)]
    findings += _check_task_kwargs(section) + _check_record_size(section)
    if not findings and METRIC not in section["task"]:
        findings.append(warning("metric.task", f"{METRIC} is missing", "add it: the summary and the report need it"))
    return findings


def _check_task_kwargs(section: Mapping[str, Any]) -> list[Finding]:
    given = section.get("task_kwargs")
    if given is None:
        return []
    listed = [given] if isinstance(given, Mapping) else given
    count = 1 if isinstance(section["task"], str) else len(section["task"])
    if isinstance(listed, list) and len(listed) == count and all(isinstance(each, Mapping) for each in listed):
        return []
    return [error("metric.task_kwargs", f"expected an object for each of {count} tasks, got {given!r:.80}")]


def _check_record_size(section: Mapping[str, Any]) -> list[Finding]:
    """Records above the size that ARMORY is told are left out of its results, which the report cannot make up for."""
    size = section.get("max_record_size")
    if size is None or size >= SMALL_RECORD:
        return []
    fix = "take it out, or set null"
    return [
        error("metric.max_record_size", f"expected at least {SMALL_RECORD} bytes, got {size}: results are lost", fix)
    ]


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
    given = sorted(set(section["kwargs"]) & set(GIVEN))
    if given:
        problem = "it has no effect: ARMORY sets it by the options of `armory run`"
        findings += [warning(f"scenario.kwargs.{name}", problem, "take it out") for name in given]
    kwargs = {**dict.fromkeys(GIVEN), **section["kwargs"]}
    made, found = find_object("scenario", section["module"], section["name"])
    findings += found if made is None else check_arguments("scenario.kwargs", made, kwargs)
    if made is not None and is_ours(config["model"]["module"]) and not hasattr(made, "evaluate"):
        findings.append(error("scenario.name", f"{made.__name__} is no scenario", "set 'CarlaVideoTracking'"))
    return findings


def check_hook(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the function that runs before the model loads exists, and takes its arguments."""
    section = config.get("user_init")
    if section is None:
        return []
    if not isinstance(section, Mapping) or not isinstance(section.get("module"), str) or not section["module"]:
        wanted = '{"kwargs": {}, "module": …, "name": …}, or null'
        return [error("user_init", f"expected {wanted}, got {section!r}")]
    if not isinstance(section.get("name"), str | None):
        return [error("user_init.name", f"expected the name of a function, got {section['name']!r:.80}")]
    if not section.get("name"):
        return [warning("user_init.name", "the module is imported, but nothing is called", "name a function")]
    kwargs = section.get("kwargs") or {}
    return find_object("user_init", section["module"], section["name"], kwargs)[1]
