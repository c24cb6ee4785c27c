"""What a submission's config may say: its own model, defense and system settings, by names that are allowed.

All else must be as in the evaluation that it answers to, so that nobody hands in an easier attack; and nothing may name
a module, a path or a repository that would bring code or touch files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, fault
from armory_skelevision.evaluation.check.sysconfig import check_image
from armory_skelevision.evaluation.configs import render_configs
from armory_skelevision.evaluation.table import DEFENSES, MODELS

FREE = ("_description", "defense", "model", "sysconfig")
"""Sections that a submission may change."""

MODEL_NAMES = {("armory_skelevision.models", model.name) for model in MODELS.values()}
DEFENSE_NAMES = {(defense.module, defense.name) for defense in DEFENSES.values()}
DEFENSE_NAMES.add(("armory_skelevision.defenses", "DuaLossDef"))

MODEL_KEYS = ("fit", "fit_kwargs", "model_kwargs", "module", "name", "weights_file", "wrapper_kwargs")
DEFENSE_KEYS = ("kwargs", "module", "name", "type")
SYSTEM: dict[str, tuple[Any, ...]] = {
    "external_github_repo_pythonpath": (None, []),
    "local_repo_path": (None, []),
    "output_dir": (None,),
    "output_filename": (None,),
    "set_pythonhashseed": (None, False, True),
}
"""Settings with the values that they may have: these name folders, or code of other places."""

SYSTEM_KEYS = (*SYSTEM, "docker_image", "external_github_repo", "gpus", "use_gpu")


def shipped_baselines() -> list[dict[str, Any]]:
    """The package's own configs, for submissions that answer to one of them."""
    return [json.loads(text) for text in render_configs().values()]


def weights_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config gives as weights, by the way to it."""
    named = {"model.weights_file": config["model"]["weights_file"]}
    kwargs = (config["defense"] or {}).get("kwargs", {})
    return {**named, "defense.kwargs.weights_file": kwargs["weights_file"]} if "weights_file" in kwargs else named


def check_rules(
    config: Mapping[str, Any],
    weights: Collection[str],
    baselines: Sequence[Mapping[str, Any]],
    repositories: Collection[str | None] = (),
) -> list[Finding]:
    """Where a config breaks the rules. Imports nothing that it names.

    Args:
        config: One that fits ARMORY's schema.
        weights: Names of the weights that come with it.
        baselines: Configs of the evaluations that it may answer to.
        repositories: What ``external_github_repo`` may be, beside null.
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
    mend = f"A submission changes {', '.join(FREE[1:])} and nothing else; take the rest from the evaluation's config"
    return [fault(name, "is not as in the config of the evaluation", mend) for name in nearest]


def _same(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _check_part(
    config: Mapping[str, Any], part: str, keys: Sequence[str], allowed: Collection[tuple[str, str]]
) -> list[Finding]:
    section = config[part]
    findings = [fault(f"{part}.{key}", "has no place in a submission", "Leave it out") for key in {*section} - {*keys}]
    if (section["module"], section["name"]) not in allowed:
        listed = ", ".join(sorted(f"{module}.{name}" for module, name in allowed))
        named = f"{section['module']}.{section['name']} is not allowed in a submission"
        findings.append(fault(f"{part}.module", named, f"Allowed are {listed}"))
    if section.get("fit") or section.get("fit_kwargs"):
        findings.append(fault(f"{part}.fit", "submissions are not trained", 'Say "fit": false and "fit_kwargs": {}'))
    for key, text in _find_texts(section, part):
        is_kwarg = key.count(".") > 1 and key != "defense.kwargs.weights_file"
        if is_kwarg and (set("/\\\0~$") & set(text) or ".." in text):
            findings.append(fault(key, f"{text!r} looks like a path", "A submission names no files but its weights"))
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
    named = weights_of(config)
    findings = [
        fault(key, f"{name!r} is not among the weights of the bundle", f"Name one of {', '.join(sorted(weights))}")
        for key, name in named.items()
        if not isinstance(name, str) or name not in weights
    ]
    unused = sorted(set(weights) - {name for name in named.values() if isinstance(name, str)})
    return findings + [fault("weights", f"{name} is named nowhere in the config", "Leave it out") for name in unused]


def _check_system(section: Mapping[str, Any], repositories: Collection[str | None]) -> list[Finding]:
    # an image of somebody else's is a matter of taste in an evaluation of one's own, and code of others here
    findings = [finding._replace(level="fault") for finding in check_image(section["docker_image"])]
    for key in sorted({*section} - {*SYSTEM_KEYS}):
        findings.append(fault(f"sysconfig.{key}", "has no place in a submission", "Leave it out"))
    for key, values in SYSTEM.items():
        if section.get(key) not in values:
            findings.append(fault(f"sysconfig.{key}", f"got {section[key]!r:.80}", "Say null, or leave it out"))
    repository = section["external_github_repo"]
    if repository is not None and repository not in repositories:
        allowed = f"one of {', '.join(sorted(map(str, repositories)))}" if repositories else "null"
        problem = f"{repository!r:.80} would have ARMORY fetch code"
        findings.append(fault("sysconfig.external_github_repo", problem, f"Say {allowed}; organisers allow others"))
    return findings
