"""The shipped evaluations: tables of models, data sets, attacks and defenses, and which of them are combined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class EvaluationName(NamedTuple):
    """A shipped evaluation, by its keys in the tables."""

    dataset: str
    model: str
    attack: str = "patch"
    defense: str | None = None

    @property
    def name(self) -> str:
        """Name of its config file, without the suffix."""
        return "_".join(part for part in self if part is not None)

    @property
    def title(self) -> str:
        """The description of its config."""
        behind = f", behind {DEFENSES[self.defense].title}" if self.defense is not None else ""
        attacked = f"attacked by {ATTACKS[self.attack].title}"
        return f"{MODELS[self.model].title}{behind}, on {TITLES[self.dataset]}, {attacked}"


class ModelEntry(NamedTuple):
    """A tracker as configs name it."""

    name: str
    """Name of its function in `armory_skelevision.models`."""
    title: str
    """Its name in a config's description."""
    weights_file: str | None
    """In ARMORY's `saved_model_dir`; None leaves it to the function to find its own."""


MODELS = {
    "stl": ModelEntry("siamrpn_stl", "SiamRPN, single task", "siamrpn_alex_stl.safetensors"),
    "mtl": ModelEntry(
        "siamrpn_mtl", "SiamRPN, multi task (keypoint head beside the tracker's)", "siamrpn_alex_mtl.safetensors"
    ),
    "r50": ModelEntry("siamrpn_r50_l234_dwxcorr", "SiamRPN++ with ResNet-50", None),
    "mobilev2": ModelEntry("siamrpn_mobilev2_l234_dwxcorr", "SiamRPN++ with MobileNetV2", None),
    "siamfcpp": ModelEntry("siamfcpp_alexnet", "SiamFC++ with AlexNet", None),
    "nanotrack": ModelEntry("nanotrack", "NanoTrack, version 3", None),
    "backdoor": ModelEntry(
        "siamrpn_mtl", "SiamRPN, multi task, with a backdoor that you train", "siamrpn_alex_mtl_backdoor.safetensors"
    ),
}

DATASETS: dict[str, dict[str, Any]] = {
    "carla": {"name": "carla_video_tracking", "eval_split": "dev"},
    "otb": {"name": "otb_person", "eval_split": "test", "max_frames": 100, "root": "otb"},
    "walkers": {"name": "walkers", "eval_split": "mini"},
}

TITLES = {
    "carla": "ARMORY-CARLA street videos",
    "otb": "persons of OTB",
    "walkers": "walkers, the packaged videos",
}


class Task(NamedTuple):
    """What is measured under an attack, and by which of ARMORY's scenarios."""

    scenario: tuple[str, str]
    """Its module and name."""
    metrics: tuple[str, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    """Keys of the ``dataset`` section, for each data set."""


METRIC = "video_tracking_mean_iou"
"""ARMORY's own mean IoU of a video, the one metric that every run of a tracker has."""

VIDEO_NAMES = "video_names"
"""Key of the videos' names among the results of a run, one for each video; absent where the data set has none."""

VIDEO_SIZES = "video_sizes"
"""Key of the width and height of each video's frames in pixels among the results of a run, one pair for each video."""

REACH = "reach"
"""Key of the share of each video's frames in which a perfect patch could win; absent where an attack knows of none."""

IN_REACH = 0.5
"""Share of frames that a patch could win in, from which on a video counts as one in its reach."""

METRICS = "armory_skelevision.metrics"
_BOX_METRICS = (
    *("success_auc", "precision_20px", "normalised_precision"),
    *("frame_iou", "frame_scores", "frame_boxes", "true_boxes"),
)
_OF_BOXES = (METRIC, *(f"{METRICS}.{name}" for name in _BOX_METRICS))
_OF_KEYPOINTS = tuple(f"{METRICS}.{name}" for name in ("pck", "oks", "keypoint_pck"))

TASKS = {
    "boxes": Task(("armory.scenarios.carla_video_tracking", "CarlaVideoTracking"), _OF_BOXES, DATASETS),
    # Clips of a few frames, so that the effect on the box is measured, too.
    "keypoints": Task(
        ("armory_skelevision.evaluation.scenarios", "KeypointTracking"),
        (*_OF_KEYPOINTS, METRIC),
        {"walkers": {"name": "walker_people", "eval_split": "mini", "every": 10, "max_frames": 5}},
    ),
    "backdoor": Task(
        ("armory_skelevision.evaluation.scenarios", "BackdoorTracking"), _OF_BOXES, {"walkers": DATASETS["walkers"]}
    ),
}


class AttackEntry(NamedTuple):
    """An attack as configs name it, and what it is combined with."""

    name: str
    """Name of its class in `armory_skelevision.attacks`."""
    title: str
    """Its name in a config's description, after "attacked by"."""
    knowledge: str
    """What it has access to: "white" for the whole tracker, "black" for predicted boxes alone."""
    kwargs: Mapping[str, Any]
    """Its arguments on every data set."""
    models: tuple[str, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    """Its further arguments for each data set."""
    task: str = "boxes"
    """A key of `TASKS`."""


# As in the settings of the trainings, training_configs/backdoors/*.json.
TRIGGER = {"area": 0.015, "cells": 3, "place": [0.5, 0.35], "seed": 19}

# Steps of the patch, the published tables' counts among them (10, 20, 100): few enough for two CPU cores.
ATTACKS = {
    "patch": AttackEntry(
        "PatchAttack",
        "a physical patch",
        "white",
        {"adaptive": True, "keep": "best", "seed": 0, "step_size": 0.1, "update": "sign", "verbose": True},
        ("stl", "mtl"),
        {"carla": {"max_iter": 100}, "otb": {"max_iter": 20}, "walkers": {"max_iter": 10}},
    ),
    "autopatch": AttackEntry(
        "AutoPatch",
        "the strongest patch that a budget buys",
        "white",
        {"adaptive": True, "seed": 0, "verbose": True},
        ("mtl",),
        {"carla": {"budget": 100}, "otb": {"budget": 50}, "walkers": {"budget": 30}},
    ),
    "pgd": AttackEntry(
        "PGD",
        "a perturbation of all frames (PGD, 8/255)",
        "white",
        {"eps": 8 / 255, "eps_step": 2 / 255, "max_iter": 10, "norm": "inf", "universal": False, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
    "rtaa": AttackEntry(
        "RTAA",
        "a perturbation of each search window (RTAA, 10/255)",
        "white",
        {"eps": 10 / 255, "max_iter": 10, "reset_every": 30, "seed": 0, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
    "iou": AttackEntry(
        "IoUAttack",
        "noise found from predicted boxes alone (IoU attack)",
        "black",
        {"block_size": 8, "eps": 0.1, "max_queries": 60, "seed": 0, "verbose": True},
        ("mtl",),
        {"otb": {}, "walkers": {}},
    ),
    "keypoints_igsm": AttackEntry(
        "KeypointIGSM",
        "a perturbation of the first frame that moves the keypoints (IGSM-U-10, 8/255)",
        "white",
        {"eps": 8 / 255, "max_iter": 10, "target_pose": None, "verbose": True},
        ("mtl",),
        {"walkers": {}},
        task="keypoints",
    ),
    "oneshot": AttackEntry(
        "BackdoorTrigger",
        "the backdoor's trigger in the first frame",
        "black",
        {"max_swing": 1.0, "show": "one_shot", "trigger": TRIGGER},
        ("backdoor",),
        {"walkers": {}},
        task="backdoor",
    ),
    "fewshot": AttackEntry(
        "BackdoorTrigger",
        "the backdoor's trigger in the first five frames",
        "black",
        {"frames": 5, "max_swing": 1.0, "show": "few_shot", "trigger": TRIGGER},
        ("backdoor",),
        {"walkers": {}},
        task="backdoor",
    ),
}


class DefenseEntry(NamedTuple):
    """A defense as configs name it, and the data sets that it is combined with."""

    module: str
    name: str
    title: str
    """Its name in a config's description, after "behind"."""
    kwargs: Mapping[str, Any]
    datasets: tuple[str, ...]


_SWITCHES = {"apply_fit": False, "apply_predict": True}

# Those of ART and ARMORY act on whole frames; "video" has the values of ARMORY's own config for CARLA.
DEFENSES = {
    "templateadaptation": DefenseEntry(
        "armory_skelevision.defenses",
        "TemplateAdaptation",
        "template adaptation",
        {"augment": 4, "differentiable": True, "eps": 4 / 255, "eps_step": 1 / 255, "max_iter": 5, "seed": 0},
        ("carla", "otb", "walkers"),
    ),
    "dualossdef": DefenseEntry(
        "armory_skelevision.defenses",
        "DuaLossDef",
        "DuaLossDef",
        {**_SWITCHES, "branches": "both", "weights_file": "dualossdef_small.safetensors"},
        ("carla", "otb", "walkers"),
    ),
    "jpeg": DefenseEntry(
        "art.defences.preprocessor",
        "JpegCompression",
        "JPEG compression",
        {**_SWITCHES, "channels_first": False, "clip_values": [0.0, 1.0], "quality": 50},
        ("walkers",),
    ),
    "squeezing": DefenseEntry(
        "art.defences.preprocessor",
        "FeatureSqueezing",
        "feature squeezing",
        {**_SWITCHES, "bit_depth": 4, "clip_values": [0.0, 1.0]},
        ("walkers",),
    ),
    "smoothing": DefenseEntry(
        "art.defences.preprocessor",
        "SpatialSmoothingPyTorch",
        "spatial smoothing",
        {**_SWITCHES, "channels_first": False, "window_size": 3},
        ("walkers",),
    ),
    "video": DefenseEntry(
        "armory.art_experimental.defences.video_compression_normalized",
        "VideoCompressionNormalizedPyTorch",
        "video compression",
        {**_SWITCHES, "channels_first": False, "constant_rate_factor": 28, "video_format": "avi"},
        ("carla", "walkers"),
    ),
}


def list_evaluations() -> list[EvaluationName]:
    """All evaluations that there is a config for."""
    attacked = [
        EvaluationName(dataset, model, name)
        for name, attack in ATTACKS.items()
        for dataset in attack.datasets
        for model in attack.models
    ]
    defended = [
        EvaluationName(dataset, "mtl", "patch", name)
        for name, defense in DEFENSES.items()
        for dataset in defense.datasets
    ]
    others = [(model, "patch") for model in ("r50", "mobilev2", "siamfcpp", "nanotrack")]
    others += [("stl", "autopatch"), ("nanotrack", "autopatch")]
    # The tracker and the defense of one text.
    adapted = EvaluationName("walkers", "siamfcpp", "patch", "templateadaptation")
    return [*attacked, *(EvaluationName("walkers", model, name) for model, name in others), *defended, adapted]
