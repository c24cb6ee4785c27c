"""What the config of a submission may contain: a model, a defense and system settings of its own, from allowed names.

All else must be equal to its baseline, the config of the evaluation that it takes part in, so that the attack is not
made easier; and nothing may name a module, a path or a repository that would bring code or touch files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from armory_skelevision.evaluation.check.attack_defense import DEFENSE_KEYS
from armory_skelevision.evaluation.check.findings import Finding, error
from armory_skelevision.evaluation.check.sysconfig import SYSTEM_KEYS, check_image
from armory_skelevision.evaluation.table import DEFENSES, MODELS
from armory_skelevision.weights.resolve import named_weights

FREE = ("_description", "defense", "model", "sysconfig")
"""Sections that a submission may change."""

MODEL_NAMES = {("armory_skelevision.models", model.name) for model in MODELS.values()}
DEFENSE_NAMES = {(defense.module, defense.name) for defense in DEFENSES.values()}

MODEL_KEYS = ("fit", "fit_kwargs", "model_kwargs", "module", "name", "weights_file", "wrapper_kwargs")
SYSTEM: dict[str, tuple[Any, ...]] = {
    "external_github_repo_pythonpath": (None, []),
    "local_repo_path": (None, []),
    "output_dir": (None,),
    "output_filename": (None,),
    "set_pythonhashseed": (None, False, True),
}
"""Settings that name folders or third-party code, with the values that they may have."""


def check_rules(
    config: Mapping[str, Any],
    weights: Collection[str],
    baselines: Sequence[Mapping[str, Any]],
    repositories: Collection[str | None] = (),
) -> list[Finding]:
    """Where a config breaks the rules. Imports nothing that it names.

    Args:
        config: One that fits ARMORY's schema.
        weights: Names of the weights in its bundle.
        baselines: Configs of the evaluations that it may take part in.
        repositories: Allowed values of ``external_github_repo``, beside null.
    """
    return [
        *_check_baseline(config, baselines),
        *_check_part(config, "model", MODEL_KEYS, MODEL_NAMES),
        *(_check_part(config, "defense", DEFENSE_KEYS, DEFENSE_NAMES) if config["defense"] is not None else []),
        *_check_weights(config, weights),
        *_check_system(config["sysconfig"], repositories),
    ]


def _check_baseline(config: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]]) -> list[Finding]:
    def changed(baseline: Mapping[str, Any]) -> list[str]:
        names = sorted({*config, *baseline} - {*FREE})
        # as JSON, where 1 and true are not the same
        return [name for name in names if _same(config.get(name)) != _same(baseline.get(name))]

    nearest = min((changed(baseline) for baseline in baselines), key=len)
    fix = f"a submission changes {', '.join(FREE[1:])} and nothing else"
    return [error(name, "expected the value of the evaluation's config, got another", fix) for name in nearest]


def _same(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _check_part(
    config: Mapping[str, Any], part: str, keys: Sequence[str], allowed: Collection[tuple[str, str]]
) -> list[Finding]:
    section = config[part]
    findings = [error(f"{part}.{key}", "not allowed in a submission") for key in {*section} - {*keys}]
    if (section["module"], section["name"]) not in allowed:
        listed = ", ".join(sorted(f"{module}.{name}" for module, name in allowed))
        got = f"{section['module']}.{section['name']}"
        findings.append(error(f"{part}.module", f"expected one of {listed}, got {got}"))
    if section.get("fit") or section.get("fit_kwargs"):
        problem = "submissions are not trained by ARMORY"
        findings.append(error(f"{part}.fit", problem, 'set "fit": false and "fit_kwargs": {}'))
    for key, text in _find_texts(section, part):
        is_kwarg = key.count(".") > 1 and key != "defense.kwargs.weights_file"
        if is_kwarg and (set("/\\\0~$") & set(text) or ".." in text):
            findings.append(
                error(key, f"expected no path, got {text!r}", "a submission names no files but its weights")
            )
    return findings


def _find_texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _find_texts(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _find_texts(inner, f"{key}.{number}")


def _check_weights(config: Mapping[str, Any], weights: Collection[str]) -> list[Finding]:
    # null would take weights of the package, or of the organisers' machine
    named = {"model.weights_file": "null", **named_weights(config)}
    listed = ", ".join(sorted(weights))
    findings = [
        error(key, f"expected one of the bundle's weights, {listed}, got {name}")
        for key, name in named.items()
        if name not in weights
    ]
    kwargs = (config["defense"] or {}).get("kwargs") or {}
    wrong = kwargs.get("weights_file", "")
    if not isinstance(wrong, str):
        findings.append(error("defense.kwargs.weights_file", f"expected a text, got {wrong!r:.80}"))
    unused = sorted(set(weights) - set(named.values()))
    return findings + [error("weights", f"the config does not use {name}", "leave it out") for name in unused]


def _check_system(section: Mapping[str, Any], repositories: Collection[str | None]) -> list[Finding]:
    # a third-party image is a warning for one's own evaluation, and somebody else's code here
    findings = [finding._replace(level="error") for finding in check_image(section["docker_image"])]
    for key in sorted({*section} - {*SYSTEM_KEYS}):
        findings.append(error(f"sysconfig.{key}", "not allowed in a submission"))
    for key, values in SYSTEM.items():
        if section.get(key) not in values:
            findings.append(error(f"sysconfig.{key}", f"expected null, got {section[key]!r:.80}"))
    repository = section["external_github_repo"]
    if repository is not None and repository not in repositories:
        allowed = " or ".join(["null", *sorted(map(str, repositories))])
        problem = f"expected {allowed}, got {repository!r:.80}, from where ARMORY would fetch code"
        findings.append(error("sysconfig.external_github_repo", problem))
    return findings
