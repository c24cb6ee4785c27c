"""Broken configs, and what `skelevision check` finds in each: the key, and what is wrong or how to fix it."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from armory_skelevision import __version__
from armory_skelevision.defenses import dualossdef
from armory_skelevision.evaluation.check import Finding, check_config, model, run, stops
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.run import check_file
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.models import siamrpn
from armory_skelevision.networks import SiamRPN
from armory_skelevision.weights import resolve as resolving
from armory_skelevision.weights.loading import save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

OPENCV = "armory_skelevision.models.opencv"

ABSENT: Any = object()
"""Stands for a key that is taken away."""

RPN = {"knowledge": "white", "kwargs": {}, "module": "armory_skelevision.attacks", "name": "RTAA", "use_label": True}
JPEG = build_config("walkers", "mtl", "patch", "jpeg")["defense"]
ADAPTED = build_config("walkers", "mtl", "patch", "templateadaptation")["defense"]
OWN = {
    **build_config("walkers", "mtl")["model"],
    "name": "external",
    "model_kwargs": {"factory": "own_trackers:make"},
    "weights_file": None,
}
TRANSFERRED = {**RPN, "name": "Transfer"}
CLIPS = build_config("walkers", "mtl", "keypoints_igsm")["dataset"]

# what is changed in walkers_mtl_patch.json, the key that is named, and values that the problem or the fix must hold
ERRORS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "section missing": ({"metric": ABSENT}, "config", ["'metric'"]),
    "key of a section missing": ({"attack.knowledge": ABSENT}, "attack", ["'knowledge'"]),
    "section of another type": ({"attack": "PatchAttack"}, "attack", ["object", "'PatchAttack'"]),
    "value of another type": ({"sysconfig.use_gpu": "yes"}, "sysconfig.use_gpu", ["boolean", "'yes'"]),
    "none of the choices": ({"attack.knowledge": "grey"}, "attack.knowledge", ["white or black", "'grey'"]),
    "no attack": ({"attack": None}, "attack", ["null", "--skip-attack"]),
    "module mistyped": ({"model.module": "armory_skelevison.models"}, "model.module", ["armory_skelevison"]),
    "model mistyped": ({"model.name": "siamrpn_mlt"}, "model.name", ["'siamrpn_mlt'", "'siamrpn_mtl'"]),
    "no function": ({"model.name": "__all__"}, "model.name", ["a function", "__all__"]),
    "model's kwarg": (
        {"model.model_kwargs": {"keypoint_haed": "deep"}},
        "model.model_kwargs.keypoint_haed",
        ["keypoint_head"],
    ),
    "wrapper's kwarg": (
        {"model.wrapper_kwargs": {"device": "cpu"}},
        "model.wrapper_kwargs.device",
        ["device_type"],
    ),
    "wrapper's value": (
        {"model.wrapper_kwargs": {"device_type": "tpu"}},
        "model.wrapper_kwargs.device_type",
        ["'tpu'"],
    ),
    "constant's name": (
        {"model.wrapper_kwargs": {"tracking": {"penalty": 0.1}}},
        "model.wrapper_kwargs.tracking.penalty",
        ["penalty_k"],
    ),
    "constant's value": (
        {"model.wrapper_kwargs": {"tracking": {"penalty_k": "0.1"}}},
        "model.wrapper_kwargs.tracking.penalty_k",
        ["a number", "'0.1'"],
    ),
    "constants that are none": (
        {"model.wrapper_kwargs": {"tracking": [0.1]}},
        "model.wrapper_kwargs.tracking",
        ["an object", "0.1"],
    ),
    "weights of another network": (
        {"model.weights_file": "siamrpn_alex_stl.safetensors"},
        "model.weights_file",
        ["siamrpn_stl"],
    ),
    "several weights": ({"model.weights_file": ["a", "b"]}, "model.weights_file", ["one file", "['a', 'b']"]),
    "training": ({"model.fit": True}, "model.fit", ["false"]),
    "external tracker's module": (
        {"model": {**OWN, "model_kwargs": {"factory": "own_tracker:make"}}},
        "model.model_kwargs.factory",
        ["own_tracker", "pip install"],
    ),
    "external tracker's factory": (
        {"model": {**OWN, "model_kwargs": {"factory": "own_trackers:made"}}},
        "model.model_kwargs.factory",
        ["'make'"],
    ),
    "external tracker's arguments": (
        {"model": {**OWN, "model_kwargs": {"factory": "own_trackers:make", "kwargs": {"kind": "red_video"}}}},
        "model.model_kwargs.factory",
        ["initialize", "tuple"],
    ),
    "gradients of an external tracker": ({"model": OWN}, "attack.kwargs.estimator", ["gradients", "IoUAttack"]),
    "defense of an external tracker's crops": (
        {"model": OWN, "defense": ADAPTED, "attack": TRANSFERRED},
        "defense.kwargs.preprocessing_defences",
        ["whole frames"],
    ),
    "transferred attack": (
        {"attack": {**TRANSFERRED, "kwargs": {"attack": "PatchAtack"}}},
        "attack.kwargs.attack",
        ["'PatchAttack'"],
    ),
    "transferred patch without a screen": (
        {"model": OWN, "attack": {**TRANSFERRED, "kwargs": {"attack": "PatchAttack"}}, "dataset": CLIPS},
        "attack",
        ["PatchAttack", "screen"],
    ),
    "attack mistyped": ({"attack.name": "PatchAtack"}, "attack.name", ["'PatchAtack'", "'PatchAttack'"]),
    "attack's kwarg": ({"attack.kwargs": {"stepsize": 0.1}}, "attack.kwargs.stepsize", ["'step_size'"]),
    "attack's choice": ({"attack.kwargs.loss": "l3"}, "attack.kwargs.loss", ["'l1'", "'l3'"]),
    "attack's range": ({"attack.kwargs.max_iter": -1}, "attack.kwargs.max_iter", ["a whole number", "-1"]),
    "attack's transformations": ({"attack.kwargs.eot": {"view": 3}}, "attack.kwargs.eot.view", ["brightness"]),
    "attack without labels": ({"attack.use_label": False}, "attack.use_label", ["true"]),
    "attack of frames": (
        {"attack": {**RPN, "name": "PGD", "kwargs": {"eps": 0}}},
        "attack.kwargs.eps",
        ["a number", "0"],
    ),
    "attack that cannot attack through": ({"attack": RPN, "defense": JPEG}, "attack", ["JpegCompression", "PGD"]),
    "defense mistyped": (
        {"defense": {**ADAPTED, "name": "TemplateAdaption"}},
        "defense.name",
        ["'TemplateAdaptation'"],
    ),
    "defense's kwarg": ({"defense": {**ADAPTED, "kwargs": {"maxiter": 1}}}, "defense.kwargs.maxiter", ["'max_iter'"]),
    "defense's value": (
        {"defense": {**JPEG, "kwargs": {**JPEG["kwargs"], "quality": 500}}},
        "defense.kwargs",
        ["quality", "art.defences.preprocessor.JpegCompression"],
    ),
    "defense needs": (
        {"defense": {**JPEG, "kwargs": {"quality": 50}}},
        "defense.kwargs.clip_values",
        ["JpegCompression"],
    ),
    "defense's type": ({"defense": {**ADAPTED, "type": "Postprocessor"}}, "defense.type", ["'Preprocessor'"]),
    "data set mistyped": ({"dataset.name": "walker"}, "dataset.name", ["'walkers'"]),
    "data set's option": ({"dataset.maxframes": 5}, "dataset.maxframes", ["'max_frames'"]),
    "data set's value": ({"dataset.max_frames": 0}, "dataset.max_frames", ["a whole number", "0"]),
    "two videos at a time": ({"dataset.batch_size": 2}, "dataset.batch_size", ["1", "2"]),
    "data set's split": ({"dataset.eval_split": "test"}, "dataset.eval_split", ["'dev' or 'mini'", "'test'"]),
    "metric mistyped": ({"metric.task": ["video_tracking_mean_iuo"]}, "metric.task", ["'video_tracking_mean_iou'"]),
    "metric's module": ({"metric.task": "no.such.metric"}, "metric.task", ["'no.such'"]),
    "metric's key": ({"metric.kwargs": {}}, "metric.kwargs", ["'task_kwargs'"]),
    "no metric": ({"metric": None}, "metric", ["video_tracking_mean_iou"]),
    "scenario mistyped": ({"scenario.name": "CarlaVideoTracker"}, "scenario.name", ["'CarlaVideoTracking'"]),
    "exported batches": ({"scenario.export_batches": "all"}, "scenario.export_batches", ["whole number", "'all'"]),
    "hook mistyped": ({"user_init.name": "prepare"}, "user_init.name", ["'prepare_run'"]),
    "hook's kwarg": ({"user_init.kwargs": {"a": 1}}, "user_init.kwargs.a", ["none"]),
    "hook missing": ({"user_init": None}, "user_init", ["siamrpn_alex_mtl.safetensors", '"prepare_run"']),
    "hook of another type": ({"user_init": "prepare_run"}, "user_init", ['"module"', "'prepare_run'"]),
    "image of another version": (
        {"sysconfig.docker_image": "armory-skelevision:0.0.9"},
        "sysconfig.docker_image",
        ["0.0.9", f"armory-skelevision:{__version__}"],
    ),
    "image with a port": (
        {"sysconfig.docker_image": f"host:5000/armory-skelevision:{__version__}"},
        "sysconfig.docker_image",
        ["port", f"armory-skelevision:{__version__}"],
    ),
    "GPU in the image without": (
        {"sysconfig.docker_image": f"mine/armory-skelevision:{__version__}-cpu", "sysconfig.use_gpu": True},
        "sysconfig.docker_image",
        ["CUDA", f"armory-skelevision:{__version__}, or"],
    ),
    "GPUs": ({"sysconfig.gpus": "first"}, "sysconfig.gpus", ["'0,1'", "'first'"]),
    "repository": (
        {"sysconfig.external_github_repo": "https://x/y"},
        "sysconfig.external_github_repo",
        ["owner/name@tag"],
    ),
}

WARNINGS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "unknown section": ({"atack": {}}, "atack", ["'attack'"]),
    "unknown key": ({"model.weight_file": "a"}, "model.weight_file", ["'weights_file'"]),
    "old export": ({"scenario.export_samples": 1}, "scenario.export_samples", ['"export_batches": 1']),
    "no IoU": (
        {"metric.task": ["video_tracking_mean_success_rate"]},
        "metric.task",
        ["video_tracking_mean_iou", "add it"],
    ),
    "third-party image": (
        {"sysconfig.docker_image": "twosixarmory/armory"},
        "sysconfig.docker_image",
        ["twosixarmory/armory", f"armory-skelevision:{__version__}"],
    ),
    "repository without tag": (
        {"sysconfig.external_github_repo": "a/b"},
        "sysconfig.external_github_repo",
        ["'owner/name@tag'"],
    ),
}

MISSING: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "network of an external tracker": (
        {
            "model": {**OWN, "model_kwargs": {"factory": f"{OPENCV}:vit", "kwargs": {"net": "mine.onnx"}}},
            "attack": TRANSFERRED,
        },
        "model.model_kwargs.kwargs.net",
        ["saved_models/mine.onnx", "put the file there"],
    ),
    "source of a transferred attack": (
        {"attack": {**TRANSFERRED, "kwargs": {"source": "mine.safetensors"}}},
        "attack.kwargs.source",
        ["saved_models/mine.safetensors"],
    ),
    "CARLA's data": (
        {"dataset": {**build_config("carla", "mtl")["dataset"], "dataset_dir": "/no/where"}},
        "dataset",
        ["/no/where/carla_video_tracking_dev", "`armory run` downloads them"],
    ),
    "weights missing": (
        {"model.weights_file": "mine.safetensors"},
        "model.weights_file",
        ["saved_models/mine.safetensors", "siamrpn_alex_mtl.safetensors"],
    ),
    "weights to fetch": (
        {"model.weights_file": "siamrpn_alex_dwxcorr.pth"},
        "model.weights_file",
        ["skelevision weights fetch siamrpn_alex_dwxcorr"],
    ),
    "attack's start": ({"attack.kwargs.patch_init": "no.npy"}, "attack.kwargs.patch_init", ["no.npy"]),
    "defense's weights": (
        {"defense": {**ADAPTED, "name": "DuaLossDef", "kwargs": {"weights_file": "no.safetensors"}}},
        "defense.kwargs.weights_file",
        ["saved_models/no.safetensors"],
    ),
    "data set's folder": ({"dataset.root": "no/such"}, "dataset.root", ["no/such", "skelevision data walkers"]),
    "OTB's data": (
        {"dataset": {**build_config("otb", "mtl")["dataset"], "root": "/no/where"}},
        "dataset.root",
        ["/no/where", "skelevision data otb"],
    ),
    "a benchmark's data": (
        {
            "dataset": {
                **{key: build_config("otb", "mtl")["dataset"][key] for key in ("module", "batch_size", "framework")},
                "name": "sequences",
                "eval_split": "all",
                "layout": "got10k",
                "root": "/no/where",
            }
        },
        "dataset.root",
        ["/no/where", "layout"],
    ),
    "weights with a backdoor": (
        {key: build_config("walkers", "backdoor", "oneshot")[key] for key in ("model", "scenario")},
        "model.weights_file",
        ["siamrpn_alex_mtl_backdoor.safetensors", "skelevision train backdoor"],
    ),
    "NanoTrack's weights": (
        {"model": build_config("walkers", "nanotrack")["model"]},
        "model.weights_file",
        ["nanotrackv3.pth", "https://github.com/HonglinChu"],
    ),
    "PySOT's weights": (
        {"model": build_config("walkers", "r50")["model"]},
        "model.weights_file",
        ["siamrpn_r50_l234_dwxcorr.pth", "skelevision weights fetch siamrpn_r50_l234_dwxcorr"],
    ),
    "COCO's data": (
        {
            **{key: build_config("walkers", "mtl", "keypoints_igsm")[key] for key in ("attack", "scenario")},
            "dataset": {**build_config("walkers", "mtl")["dataset"], "name": "coco_people", "eval_split": "val"},
            "metric.task": ["armory_skelevision.metrics.pck"],
        },
        "dataset.root",
        ["coco", "skelevision data coco"],
    ),
}


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    with as_in_a_run():
        yield


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home in which nothing was evaluated yet: a run puts the packaged weights there."""
    monkeypatch.setenv("HOME", str(tmp_path))


def change(changes: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(build_config("walkers", "mtl"))
    for way, value in changes.items():
        *sections, key = way.split(".")
        inner = config
        for section in sections:
            inner = inner[section]
        if value is ABSENT:
            del inner[key]
        else:
            inner[key] = value
    return config


def check_found(findings: list[Finding], level: str, key: str, parts: list[str]) -> None:
    assert [(finding.level, finding.key) for finding in findings] == [(level, key)], [str(f) for f in findings]
    (finding,) = findings
    assert "\n" not in str(finding)
    for part in parts:
        assert part in finding.problem or part in finding.fix, f"{part!r} is not in {finding}"
    assert finding.fix or "expected" in finding.problem


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_found_with_their_key_and_fix(name: str) -> None:
    changes, key, parts = ERRORS[name]
    check_found(check_config(change(changes)), "error", key, parts)


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_found_with_their_key_and_fix(name: str) -> None:
    changes, key, parts = WARNINGS[name]
    check_found(check_config(change(changes)), "warning", key, parts)


@pytest.mark.parametrize("name", MISSING)
def test_missing_files_are_found_with_their_key_and_fix(name: str) -> None:
    changes, key, parts = MISSING[name]
    findings = [finding for finding in check_config(change(changes)) if finding.level != "warning"]
    check_found(findings, "missing", key, parts)
    assert stops(findings) and not stops(findings, allow_missing=True)


def test_every_error_is_found_at_once() -> None:
    config = change({"attack.kwargs": {"stepsize": 1, "maxiter": 2}, "dataset.root_": 1, "sysconfig.gpus": "x"})
    keys = [finding.key for finding in check_config(config)]
    assert keys == ["attack.kwargs.stepsize", "attack.kwargs.maxiter", "dataset.root_", "sysconfig.gpus"]
    config = change({"attack.module": ABSENT, "attack.name": ABSENT, "model.fit": ABSENT})
    first, second = check_config(config)
    assert (first.key, second.key) == ("attack", "model")
    assert "'module', 'name'" in first.problem


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("{", "file", "JSON"),
        ("[]", "config", "type object"),
        ('{"model": 1, "model": 2}', "file", "'model'"),
        ("[" * 100_000, "file", "JSON"),
        ("\udcff", "file", "UTF-8"),
    ],
)
def test_files_that_are_no_configs(tmp_path: Path, text: str, key: str, part: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, errors="surrogateescape")
    (finding, *_) = check_file(path)
    assert (finding.level, finding.key) == ("error", key)
    assert part in finding.problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (finding,) = check_file(tmp_path / "none.json")
    assert (finding.level, finding.key) == ("error", "file")


def test_patches_that_an_earlier_attack_exported(tmp_path: Path) -> None:
    config = build_config("walkers", "mtl", "patch")
    config["attack"]["kwargs"]["export"] = str(tmp_path / "patches")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert check_file(path) == []
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "patch_000.png").touch()
    check_found(check_file(path), "error", "attack.kwargs.export", ["patch_000.png", "another folder"])
    # a run of a sweep has a folder of its own
    assert check_config(config) == []


def test_a_model_and_a_defense_are_made_once_for_all_configs_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    for module, name in ((siamrpn, "read_tracker"), (dualossdef, "read_unet")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, load=original, **kwargs: read.append(load) or load(*args, **kwargs)
        )
    config, made = build_config("walkers", "mtl", defense="dualossdef"), {}
    for steps in (1, 2):
        config["attack"]["kwargs"]["max_iter"] = steps
        assert check_config(config, made) == []
    assert len(read) == 2
    config["defense"]["kwargs"]["branches"] = "search"
    assert check_config(config, made) == []
    assert len(read) == 3


def test_the_schema_is_read_once_however_many_configs_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    original = jsonschema.Draft7Validator
    monkeypatch.setattr(jsonschema, "Draft7Validator", lambda schema: made.append(schema) or original(schema))
    run._read_schema.cache_clear()
    for value in (False, "yes", True):
        findings = run.check_schema(change({"sysconfig.use_gpu": value}))
        assert [finding.key for finding in findings] == (["sysconfig.use_gpu"] if value == "yes" else [])
    assert len(made) == 1


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = change({"sysconfig.use_gpu": True})
    check_found(check_config(config), "error", "sysconfig.use_gpu", ["a GPU", '"use_gpu": false'])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_config(config) == []
    config["sysconfig"]["gpus"] = "1,2"
    check_found(check_config(config), "error", "sysconfig.gpus", ["from 0 to 1", "got 2"])


def test_weights_with_a_backdoor_and_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "poisoned.safetensors"
    save_weights(SiamRPN(), path, Metadata(None, 0.0, "None.", "MIT", 1, backdoor=True))
    config = change({"model.name": "siamrpn_stl", "model.weights_file": str(path)})
    check_found(check_config(config), "warning", "model.weights_file", [str(path), "a backdoor"])

    path.write_bytes(path.read_bytes()[:-100])
    check_found(check_config(config), "error", "model.weights_file", [str(path), "skelevision weights verify"])


def test_other_weights_in_the_place_of_packaged_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (model, resolving):
        monkeypatch.setattr(module, "saved_model_dir", lambda: tmp_path)
    name = "siamrpn_alex_mtl.safetensors"
    assert model.find_weights_file(change({})) == (PACKAGED_WEIGHTS / name, [])
    installed = Path(shutil.copy(PACKAGED_WEIGHTS / name, tmp_path))
    assert model.find_weights_file(change({})) == (installed, [])
    with installed.open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([installed.read_bytes()[-1] ^ 1]))
    path, findings = model.find_weights_file(change({}))
    assert path == installed
    check_found(findings, "warning", "model.weights_file", [str(installed), "delete or rename it"])


def test_modules_of_the_working_directory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as `python -m` would find them, and the `skelevision` program by itself would not
    (tmp_path / "my_tracker.py").write_text("def make(model_kwargs, wrapper_kwargs, weights_path=None): raise\n")
    (tmp_path / "my_broken_tracker.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with as_in_a_run():
        config = change({"model.module": "my_tracker", "model.name": "make"})
        assert check_config(config) == []
        config["model"]["weights_file"] = "mine.pt"
        check_found(check_config(config), "warning", "model.weights_file", ["mine.pt", "put the file there"])
        config["model"]["weights_file"] = None
        config["model"]["module"] = "my_broken_tracker"
        check_found(check_config(config), "error", "model.module", ["ZeroDivisionError", "my_broken_tracker"])


def test_shipped_configs_are_right(root: Path) -> None:
    paths = sorted((root / "scenario_configs").glob("*.json"))
    findings = {path.stem: check_file(path) for path in paths}
    assert len(findings) > 20
    assert [str(finding) for found in findings.values() for finding in found if finding.level == "error"] == []
    for name, found in findings.items():
        without_weights = {"r50", "mobilev2", "siamfcpp", "nanotrack", "backdoor"} & set(name.split("_"))
        if name.startswith("walkers") and not without_weights:
            assert found == [], json.dumps([str(finding) for finding in found])
