"""A config's system settings: image, GPUs, and code to fetch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.evaluation.check.findings import Finding, error, unknown_keys, warning
from armory_skelevision.evaluation.configs import DOCKER_IMAGE, IMAGES

SYSTEM_KEYS = (
    *("docker_image", "external_github_repo", "external_github_repo_pythonpath", "gpus", "local_repo_path"),
    *("output_dir", "output_filename", "set_pythonhashseed", "use_gpu"),
)


def check_system(config: Mapping[str, Any]) -> list[Finding]:
    """Whether the image is this version's, the GPU there, and the code to fetch named with its tag."""
    section = config["sysconfig"]
    findings = unknown_keys("sysconfig", section, SYSTEM_KEYS, "warning")
    findings += _check_outputs(section)
    return findings + check_image(section["docker_image"]) + _check_gpu(section) + _check_repositories(section)


def _check_outputs(section: Mapping[str, Any]) -> list[Finding]:
    """ARMORY joins these names to its own folders as they are."""
    findings = []
    for key in ("output_dir", "output_filename"):
        name = section.get(key) or "name"
        if name.startswith("/") or ".." in name.split("/") or (key == "output_filename" and "/" in name):
            problem = f"expected a name inside ARMORY's folder of outputs, got {name!r:.80}"
            findings.append(error(f"sysconfig.{key}", problem))
    if not isinstance(section.get("set_pythonhashseed", False), bool):
        problem = f"expected true or false, got {section['set_pythonhashseed']!r:.80}"
        findings.append(error("sysconfig.set_pythonhashseed", problem))
    return findings


def check_image(image: str | None) -> list[Finding]:
    """Whether a config's image is the one that was built from this version of the package."""
    key, (ours, _, version) = "sysconfig.docker_image", DOCKER_IMAGE.partition(":")
    if image is None:
        return []
    name, _, tag = image.partition(":")
    if ":" in tag:
        fix = f"tag the image as {DOCKER_IMAGE}"
        return [error(key, f"expected a name without a port, which ARMORY cannot read, got {image!r}", fix)]
    if name.split("/")[-1] == ours:
        if f"{ours}:{tag}" in IMAGES.values():
            return []
        return [error(key, f"expected the image of version {version}, got {image}", f"set {name}:{version}")]
    fix = f"set {DOCKER_IMAGE}, or make sure that the image has armory_skelevision {__version__}"
    return [warning(key, f"expected this package's image, got {image}", fix)]


def _check_gpu(section: Mapping[str, Any]) -> list[Finding]:
    wanted = section["gpus"]
    if not re.fullmatch(r"all|\d+(,\d+)*", wanted):
        return [error("sysconfig.gpus", f"expected 'all', or numbers such as '0' or '0,1', got {wanted!r}")]
    if not section["use_gpu"]:
        return []
    if (section["docker_image"] or "").endswith(IMAGES["cpu"]):
        fix = f'set {DOCKER_IMAGE}, or "use_gpu": false'
        return [error("sysconfig.docker_image", f"expected an image with CUDA, got {IMAGES['cpu']}", fix)]
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        why = "this PyTorch is a build for CPUs" if torch.version.cuda is None else "there is no driver or no device"
        fix = 'set "use_gpu": false, or install a CUDA build of PyTorch and make sure that `nvidia-smi` lists the GPU'
        return [error("sysconfig.use_gpu", f"expected a GPU, got none: {why}", fix)]
    absent = [] if wanted == "all" else [number for number in wanted.split(",") if int(number) >= count]
    if absent:
        return [error("sysconfig.gpus", f"expected numbers from 0 to {count - 1}, got {', '.join(absent)}")]
    return []


def _check_repositories(section: Mapping[str, Any]) -> list[Finding]:
    key, given = "sysconfig.external_github_repo", section["external_github_repo"]
    repositories = [given] if isinstance(given, str) else given or []
    findings = []
    for repository in repositories:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", str(repository)):
            findings.append(error(key, f"expected 'owner/name@tag', got {repository!r}"))
        elif "@" not in repository:
            findings.append(warning(key, f"{repository} has no tag, and may change", "add one: 'owner/name@tag'"))
    return findings
