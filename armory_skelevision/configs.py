"""The evaluations of `scenario_configs/`, as a table in code: one ARMORY config per dataset, model and attack.

The files are written from here, so that what all of them share (the metric, the scenario, the image's tag, the hook
that puts the packaged weights in place) stands once, and nobody edits a dozen files alike.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import __version__
from armory_skelevision.files import write_whole

DOCKER_IMAGE = f"armory-skelevision:{__version__}"
"""The image that the configs name; its tag is the package's version."""

FOLDER = "scenario_configs"
"""Where the repository keeps the configs."""

MODELS = {
    "stl": "SiamRPN, single task",
    "mtl": "SiamRPN, multi task (keypoint head beside the tracker's)",
}

DATASETS: dict[str, dict[str, Any]] = {
    "carla": {"name": "carla_video_tracking", "eval_split": "dev"},
    "otb": {"name": "otb_person", "eval_split": "test", "max_frames": 100, "root": "otb"},
    "walkers": {"name": "walkers", "eval_split": "mini"},
}

TITLES = {
    "carla": "ARMORY-CARLA street videos",
    "otb": "persons of OTB",
    "walkers": "walkers, the embedded videos",
}


class Attack(NamedTuple):
    """An attack as configs name it, and what it is set on."""

    name: str
    """Of its class in `armory_skelevision.attacks`."""
    title: str
    """In a description, after "attacked by"."""
    knowledge: str
    """What it knows of the tracker: "white" for all, "black" for its boxes alone."""
    kwargs: Mapping[str, Any]
    """On every data set."""
    models: tuple[str, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    """Further kwargs for each data set."""


# Steps of the patch, the published tables' counts among them (10, 20, 100): the fewer, the sooner two cores are done.
ATTACKS = {
    "patch": Attack(
        "PatchAttack",
        "a physical patch",
        "white",
        {"adaptive": True, "keep": "best", "seed": 0, "step_size": 0.1, "update": "sign", "verbose": True},
        ("stl", "mtl"),
        {"carla": {"max_iter": 100}, "otb": {"max_iter": 20}, "walkers": {"max_iter": 10}},
    ),
    "pgd": Attack(
        "PGD",
        "a perturbation of all frames (PGD, 8/255)",
        "white",
        {"eps": 8 / 255, "eps_step": 2 / 255, "max_iter": 10, "norm": "inf", "universal": False, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
    "rtaa": Attack(
        "RTAA",
        "a perturbation of each search window (RTAA, 10/255)",
        "white",
        {"eps": 10 / 255, "max_iter": 10, "reset_every": 30, "seed": 0, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
    "iou": Attack(
        "IoUAttack",
        "noise found from predicted boxes alone (IoU attack)",
        "black",
        {"eps": 0.1, "grain": 8, "max_queries": 60, "seed": 0, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
}


def build_config(dataset: str, model: str, attack: str = "patch") -> dict[str, Any]:
    """The ARMORY config of an attack on a model, on a dataset.

    Args:
        dataset: "carla", "otb" or "walkers".
        model: "stl" or "mtl".
        attack: "patch", "pgd", "rtaa" or "iou".

    Raises:
        ValueError: For another dataset, model or attack, or an attack that is not set on that dataset or model.
    """
    if (dataset, model, attack) not in list_evaluations():
        raise ValueError(
            f"no config for dataset {dataset!r}, model {model!r} and attack {attack!r}; datasets are "
            f"{sorted(DATASETS)}, models are {sorted(MODELS)}, attacks are {sorted(ATTACKS)}, though not all together"
        )
    chosen = ATTACKS[attack]
    return {
        "_description": f"{MODELS[model]}, on {TITLES[dataset]}, attacked by {chosen.title}",
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
            **DATASETS[dataset],
        },
        "defense": None,
        "metric": {
            "means": True,
            "perturbation": [],
            "record_metric_per_sample": True,
            "task": ["video_tracking_mean_iou"],
        },
        "model": _model(model),
        "scenario": {"kwargs": {}, "module": "armory.scenarios.carla_video_tracking", "name": "CarlaVideoTracking"},
        "sysconfig": {
            "docker_image": DOCKER_IMAGE,
            "external_github_repo": None,
            "gpus": "all",
            "output_dir": None,
            "output_filename": None,
            "use_gpu": False,
        },
        "user_init": {"kwargs": {}, "module": "armory_skelevision.preparation", "name": "prepare_run"},
    }


def list_evaluations() -> list[tuple[str, str, str]]:
    """All evaluations that there is a config for, as (dataset, model, attack)."""
    return [
        (dataset, model, name)
        for name, attack in ATTACKS.items()
        for dataset in attack.datasets
        for model in attack.models
    ]


def _model(model: str) -> dict[str, Any]:
    return {
        "fit": False,
        "fit_kwargs": {},
        "model_kwargs": {},
        "module": "armory_skelevision.models",
        "name": f"siamrpn_{model}",
        "weights_file": f"siamrpn_alex_{model}.safetensors",
        "wrapper_kwargs": {},
    }


def render_configs() -> dict[str, str]:
    """All configs by file name, as the text of their files."""
    return {"_".join(names) + ".json": format_config(build_config(*names)) for names in list_evaluations()}


def format_config(config: Mapping[str, Any]) -> str:
    """A config in ARMORY's style: sorted keys, four blanks of indent, a newline at the end."""
    return json.dumps(config, indent=4, sort_keys=True, ensure_ascii=False) + "\n"


def write_configs(folder: str | os.PathLike[str]) -> list[Path]:
    """Write all configs to a folder, which is made if need be, and return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in render_configs().items():
        path = target / name
        write_whole(path, text.encode("utf-8"))
        paths.append(path)
    return paths


def compare_configs(folder: str | os.PathLike[str]) -> list[str]:
    """What a folder's configs lack or say differently from the table, one line each; empty if all is equal."""
    differences = []
    for name, text in render_configs().items():
        path = Path(folder) / name
        if not path.is_file():
            differences.append(f"{path} is missing")
        elif path.read_text(encoding="utf-8") != text:
            differences.append(f"{path} differs from the table in armory_skelevision/configs.py")
    return differences
