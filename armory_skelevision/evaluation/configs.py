"""The files of `scenario_configs/`, one ARMORY config each, generated from the tables in `table`.

What all of them share is written once, here: the metric, the scenario, the image's tag, the hook that puts the packaged
weights in place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.evaluation.table import (
    ATTACKS,
    DATASETS,
    DEFENSES,
    MODELS,
    TASKS,
    EvaluationName,
    list_evaluations,
)
from armory_skelevision.io import atomic_write
from armory_skelevision.validation import InvalidValueError

DOCKER_IMAGE = f"armory-skelevision:{__version__}"
"""The image that the configs name; its tag is the package's version."""

IMAGES = {"gpu": DOCKER_IMAGE, "cpu": f"{DOCKER_IMAGE}-cpu"}
"""The images that `docker/build.py` builds of this version; the one for GPUs runs without one, too."""

HOOK = {"kwargs": {}, "module": "armory_skelevision.evaluation.armory_hooks", "name": "prepare_run"}
"""The hook that puts packaged weights in place."""


def build_config(dataset: str, model: str, attack: str = "patch", defense: str | None = None) -> dict[str, Any]:
    """The ARMORY config of an attack on a model, on a dataset.

    Args:
        dataset: "carla", "otb" or "walkers".
        model: "stl", "mtl", "r50", "mobilev2", "siamfcpp", "nanotrack" or "backdoor".
        attack: "patch", "autopatch", "pgd", "rtaa", "iou", "keypoints_igsm", "oneshot" or "fewshot".
        defense: None, "templateadaptation", "dualossdef", "jpeg", "squeezing", "smoothing" or "video".

    Raises:
        InvalidValueError: For another name, or names that have no config together.
    """
    evaluation = EvaluationName(dataset, model, attack, defense)
    _check_names(evaluation)
    chosen = ATTACKS[attack]
    task = TASKS[chosen.task]
    return {
        "_description": evaluation.title,
        "adhoc": None,
        "attack": {
            "knowledge": chosen.knowledge,
            "kwargs": {**chosen.kwargs, **chosen.datasets[dataset]},
            "module": "armory_skelevision.attacks",
            "name": chosen.name,
            "use_label": True,
        },
        "dataset": {
            "batch_size": 1,
            "framework": "numpy",
            "module": "armory_skelevision.datasets",
            **task.datasets[dataset],
        },
        "defense": _defense(defense) if defense is not None else None,
        "metric": {"means": True, "perturbation": [], "record_metric_per_sample": True, "task": list(task.metrics)},
        "model": _model(model),
        "scenario": {"kwargs": {}, "module": task.scenario[0], "name": task.scenario[1]},
        "sysconfig": {
            "docker_image": DOCKER_IMAGE,
            "external_github_repo": None,
            "gpus": "all",
            "output_dir": None,
            "output_filename": None,
            "use_gpu": False,
        },
        "user_init": {**HOOK, "kwargs": {}},
    }


def _check_names(chosen: EvaluationName) -> None:
    tables: tuple[Collection[str | None], ...] = (DATASETS, MODELS, ATTACKS, [None, *DEFENSES])
    for key, value, known in zip(EvaluationName._fields, chosen, tables, strict=True):
        if value not in known:
            raise InvalidValueError(key, f"one of {', '.join(map(str, known))}", repr(value))
    if chosen not in list_evaluations():
        expected = f"what there is a config for with {chosen.model} on {chosen.dataset}"
        raise InvalidValueError("attack, defense", expected, f"{chosen.attack}, {chosen.defense}")


def _model(model: str) -> dict[str, Any]:
    return {
        "fit": False,
        "fit_kwargs": {},
        "model_kwargs": {},
        "module": "armory_skelevision.models",
        "name": MODELS[model].name,
        "weights_file": MODELS[model].weights_file,
        "wrapper_kwargs": {},
    }


def _defense(defense: str) -> dict[str, Any]:
    chosen = DEFENSES[defense]
    return {"kwargs": dict(chosen.kwargs), "module": chosen.module, "name": chosen.name, "type": "Preprocessor"}


def render_configs() -> dict[str, str]:
    """All configs by file name, as the text of their files."""
    return {f"{evaluation.name}.json": format_config(build_config(*evaluation)) for evaluation in list_evaluations()}


def format_config(config: Mapping[str, Any]) -> str:
    """A config in ARMORY's style: sorted keys, four spaces of indentation, a newline at the end."""
    return json.dumps(config, indent=4, sort_keys=True, ensure_ascii=False) + "\n"


def write_configs(folder: str | os.PathLike[str]) -> list[Path]:
    """Write all configs to a folder, which is made if absent, and return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    configs = render_configs()
    for name, text in configs.items():
        atomic_write(target / name, text.encode("utf-8"))
    return [target / name for name in configs]


def compare_configs(folder: str | os.PathLike[str]) -> list[str]:
    """Which configs of a folder are missing or differ from the tables, one line each; empty if all are equal."""
    differences = []
    for name, text in render_configs().items():
        path = Path(folder) / name
        if not path.is_file():
            differences.append(f"{path} is missing")
        elif path.read_text(encoding="utf-8") != text:
            differences.append(f"{path} differs from the tables in armory_skelevision/evaluation/table.py")
    return differences
