"""What the sections of a config need of each other, whatever the data are; for what comes with this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from armory_skelevision import attacks, datasets
from armory_skelevision.attacks.keypoints import KeypointIGSM, KeypointUniversal
from armory_skelevision.attacks.patch.base import ScreenAttack
from armory_skelevision.attacks.transfer import find_attack
from armory_skelevision.datasets import (
    carla_video_tracking,
    coco_people,
    otb_person,
    sequences,
    walker_people,
    walkers,
)
from armory_skelevision.evaluation.check.findings import Finding, error
from armory_skelevision.evaluation.check.names import is_ours
from armory_skelevision.evaluation.table import METRICS, TASKS

SCREENS = (carla_video_tracking, otb_person, sequences, walkers)
"""Data sets that know of a screen to show a patch on."""

KEYPOINT_LABELS = (walker_people, coco_people)
"""Data sets whose labels have keypoints, which metrics need; the metadata of `walkers` have them for attacks, too."""

KEYPOINT_METRICS = {name for name in TASKS["keypoints"].metrics if name.startswith(METRICS)}


def check_together(config: Mapping[str, Any], estimator: Any) -> list[Finding]:
    """What keeps a config from running whose sections are right by themselves.

    Args:
        config: A config in which no section has an error.
        estimator: Its model; None for a third-party one.
    """
    section = config["dataset"]
    if not is_ours(section["module"]):
        return []
    data = getattr(datasets, section["name"])
    attack, kwargs = _find_attack(config["attack"])
    findings = _check_frames(config, _count_frames(data, section), estimator, attack)
    if inspect.isclass(attack) and issubclass(attack, ScreenAttack) and data not in SCREENS:
        findings.append(_lacks("attack", attack.__name__, "a data set with a screen", section["name"], SCREENS))
    if inspect.isclass(attack) and issubclass(attack, KeypointIGSM):
        if data not in (*KEYPOINT_LABELS, walkers):
            known = (*KEYPOINT_LABELS, walkers)
            findings.append(_lacks("attack", attack.__name__, "a data set with keypoints", section["name"], known))
        if attack is KeypointUniversal and kwargs.get("perturbation") is None:
            problem = "expected a file: from ARMORY's single videos nothing universal can be learnt"
            findings.append(error("attack.kwargs.perturbation", problem, "learn one in Python, see docs/keypoints.md"))
    return findings + _check_keypoint_metrics(config, data, estimator)


def _find_attack(section: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The attack of this package that is made in the end, also on another tracker, and its settings; else None."""
    kind = getattr(attacks, section["name"], None) if is_ours(section["module"]) else None
    if kind is not attacks.Transfer:
        return kind, section["kwargs"]
    default = inspect.signature(kind).parameters["attack"].default
    return find_attack(section["kwargs"].get("attack", default)), section["kwargs"].get("kwargs") or {}


def _count_frames(data: Callable[..., Any], section: Mapping[str, Any]) -> int | None:
    """The most frames that a video has; None where it is not known."""
    if data is coco_people:
        return 1
    default = inspect.signature(data).parameters["max_frames"].default
    frames: int | None = section.get("max_frames", default)
    return frames


def _check_frames(config: Mapping[str, Any], frames: int | None, estimator: Any, attack: Any) -> list[Finding]:
    needed = max(getattr(estimator, "min_frames", 1), 1 if attack is None else getattr(attack, "min_frames", 2))
    if any(name in TASKS["boxes"].metrics for name in _tasks(config)):
        needed = max(needed, 2)  # the first box is given
    if frames is None or frames >= needed:
        return []
    problem = f"expected videos of at least {needed} frames for this model, attack and metric, got {frames}"
    return [error("dataset.max_frames", problem, "raise it, or choose another data set")]


def _check_keypoint_metrics(config: Mapping[str, Any], data: Any, estimator: Any) -> list[Finding]:
    named = [("metric.task", name) for name in _tasks(config) if name in KEYPOINT_METRICS]
    scenario = (config["scenario"]["module"], config["scenario"]["name"])
    if scenario == TASKS["keypoints"].scenario:
        named.append(("scenario.name", scenario[1]))
    findings = []
    for key, name in named:
        if data not in KEYPOINT_LABELS:
            findings.append(_lacks(key, name, "labels with keypoints", config["dataset"]["name"], KEYPOINT_LABELS))
        if estimator is not None and getattr(estimator.model, "keypoint_head", None) is None:
            findings.append(error(key, f"{name} expects a tracker that finds keypoints", "use siamrpn_mtl"))
    return findings


def _tasks(config: Mapping[str, Any]) -> list[str]:
    tasks = config["metric"]["task"]
    return [tasks] if isinstance(tasks, str) else tasks


def _lacks(key: str, name: str, wanted: str, got: str, known: tuple[Callable[..., Any], ...]) -> Finding:
    names = ", ".join(function.__name__ for function in known)
    return error(key, f"{name} expects {wanted}, got {got}", f"use one of {names}")
