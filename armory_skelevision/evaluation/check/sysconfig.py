"""A config's metric, scenario, hook and system settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.evaluation.check.findings import Finding, fault, find_strangers, suggest, warning
from armory_skelevision.evaluation.check.names import check_arguments, find_object, is_ours, is_usual
from armory_skelevision.evaluation.configs import DOCKER_IMAGE, IMAGES
from armory_skelevision.evaluation.table import METRIC

METRIC_KEYS = (
    *("max_record_size", "means", "perturbation", "profiler_type", "record_metric_per_sample", "task", "task_kwargs"),
)
SCENARIO_KEYS = ("export_batches", "kwargs", "module", "name")
SYSTEM_KEYS = (
    *("docker_image", "external_github_repo", "external_github_repo_pythonpath", "gpus", "local_repo_path"),
    *("output_dir", "output_filename", "set_pythonhashseed", "use_gpu"),
)
GIVEN = ("config", "num_eval_batches", "skip_benign", "skip_attack", "skip_misclassified", "check_run")
"""What ARMORY itself gives to a scenario."""


def check_metric(config: Mapping[str, Any]) -> list[Finding]:
    """Whether ARMORY has, or Python finds, every metric that is named."""
    section = config["metric"]
    if section is None:
        return [fault("metric", "without one there is no score", f'Say "task": ["{METRIC}"] in a "metric" section')]
    findings = find_strangers("metric", section, METRIC_KEYS, "fault", "ARMORY")
    for key in ("task", "perturbation"):
        names = [section[key]] if isinstance(section[key], str) else section[key]
        findings += [finding for name in names for finding in _find_metric(f"metric.{key}", name)]
    if not findings and METRIC not in section["task"]:
        findings.append(warning("metric.task", f"without {METRIC}, `skelevision summary` finds nothing", "Add it"))
    return findings


def _find_metric(key: str, name: str) -> list[Finding]:
    if is_usual(name):
        return []
    from armory import metrics

    if metrics.is_supported(name):
        return []
    if "." not in name:
        return [fault(key, f"ARMORY has no metric {name!r}", suggest(name, metrics.supported._names()))]
    module, _, attribute = name.rpartition(".")
    _, findings = find_object(key, module, attribute)
    return [finding._replace(key=key) for finding in findings]


def check_scenario(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the scenario is there, takes its arguments, and is one of trackers."""
    section = config["scenario"]
    findings = []
    if "export_samples" in section:
        findings.append(warning("scenario.export_samples", "does nothing", 'Say "export_batches": 1 instead'))
    strangers = [key for key in section if key != "export_samples"]
    findings += find_strangers("scenario", strangers, SCENARIO_KEYS, "warning", "ARMORY")
    batches = section.get("export_batches", 0)
    if not isinstance(batches, int) or batches < 0:
        findings.append(fault("scenario.export_batches", f"got {batches!r}", "Expected a whole number from 0, or true"))
    if not section["kwargs"] and is_usual(f"{section['module']}.{section['name']}"):
        return findings
    made, found = find_object("scenario", section["module"], section["name"])
    if made is None:
        return findings + found
    kwargs = {**dict.fromkeys(GIVEN), **section["kwargs"]}
    findings += check_arguments("scenario.kwargs", made, kwargs)
    if is_ours(config["model"]["module"]) and not hasattr(made, "evaluate"):
        findings.append(fault("scenario.name", f"{made.__name__} is no scenario", "Say 'CarlaVideoTracking'"))
    return findings


def check_hook(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the function that runs before the model loads is there, and takes its arguments."""
    section = config.get("user_init")
    if section is None:
        return []
    if not isinstance(section, Mapping) or not isinstance(section.get("module"), str):
        mend = 'Expected {"kwargs": {}, "module": …, "name": …}, or null'
        return [fault("user_init", f"got {section!r}", mend)]
    if not section.get("name"):
        return [warning("user_init.name", "there is none: the module is imported, nothing called", "Name a function")]
    function, findings = find_object("user_init", section["module"], section["name"])
    if function is None:
        return findings
    return findings + check_arguments("user_init.kwargs", function, section.get("kwargs") or {})


def check_system(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the image is this version's, the GPU there, and the code to fetch named with its tag."""
    section = config["sysconfig"]
    findings = find_strangers("sysconfig", section, SYSTEM_KEYS, "warning", "ARMORY")
    return findings + check_image(section["docker_image"]) + _check_gpu(section) + _check_repositories(section)


def check_image(image: str | None) -> list[Finding]:
    """Whether a config's image is the one that this version of the package was made for."""
    key, (ours, _, version) = "sysconfig.docker_image", DOCKER_IMAGE.partition(":")
    if image is None:
        return []
    name, _, tag = image.partition(":")
    if ":" in tag:
        return [fault(key, f"ARMORY cannot read {image!r}, which names a port", f"Tag the image as {DOCKER_IMAGE}")]
    if name.split("/")[-1] == ours:
        if f"{ours}:{tag}" in IMAGES.values():
            return []
        return [fault(key, f"{image} is another version's, this is {version}", f"Say {name}:{version}")]
    mend = f"Say {DOCKER_IMAGE}, or be sure that the image has armory_skelevision {__version__}"
    return [warning(key, f"{image} is not this package's image", mend)]


def _check_gpu(section: Mapping[str, Any]) -> list[Finding]:
    wanted = section["gpus"]
    if not re.fullmatch(r"all|\d+(,\d+)*", wanted):
        return [fault("sysconfig.gpus", f"got {wanted!r}", "Expected 'all', or numbers such as '0' or '0,1'")]
    if not section["use_gpu"]:
        return []
    if (section["docker_image"] or "").endswith(IMAGES["cpu"]):
        mend = f'Say {DOCKER_IMAGE}, or "use_gpu": false'
        return [fault("sysconfig.docker_image", f"a GPU is asked for, and {IMAGES['cpu']} is built without CUDA", mend)]
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        why = "this PyTorch is a build for CPUs" if torch.version.cuda is None else "no driver or no device is there"
        mend = 'Say "use_gpu": false, or install a CUDA build of PyTorch and see that `nvidia-smi` lists the GPU'
        return [fault("sysconfig.use_gpu", f"a GPU is asked for and none is seen ({why})", mend)]
    absent = [] if wanted == "all" else [number for number in wanted.split(",") if int(number) >= count]
    if absent:
        return [fault("sysconfig.gpus", f"there is no GPU {', '.join(absent)}", f"Name one of 0 to {count - 1}")]
    return []


def _check_repositories(section: Mapping[str, Any]) -> list[Finding]:
    key, given = "sysconfig.external_github_repo", section["external_github_repo"]
    repositories = [given] if isinstance(given, str) else given or []
    findings = []
    for repository in repositories:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", str(repository)):
            findings.append(fault(key, f"got {repository!r}", "Expected 'owner/name@tag'"))
        elif "@" not in repository:
            mend = "Add a tag, 'owner/name@tag'"
            findings.append(warning(key, f"{repository} changes from day to day", mend))
    return findings
