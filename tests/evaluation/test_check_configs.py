"""Broken configs, and what `skelevision check` says of each: the key, and the mend."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from armory_skelevision import __version__
from armory_skelevision.evaluation.check import Finding, check_config, model
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.run import check_file
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.networks import SiamRPN
from armory_skelevision.weights import Metadata, save_weights
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

ABSENT: Any = object()
"""Stands for a key that is taken away."""

RPN = {"knowledge": "white", "kwargs": {}, "module": "armory_skelevision.attacks", "name": "RTAA", "use_label": True}
JPEG = build_config("walkers", "mtl", "patch", "jpeg")["defense"]
ADAPTED = build_config("walkers", "mtl", "patch", "templateadaptation")["defense"]

# what is changed in walkers_mtl_patch.json, the key that is named, and what the line says, the mend last
FAULTS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "section missing": ({"metric": ABSENT}, "config", ["lacks 'metric'", "Add it"]),
    "key of a section missing": ({"attack.knowledge": ABSENT}, "attack", ["lacks 'knowledge'", "Add it"]),
    "section of another type": ({"attack": "PatchAttack"}, "attack", ["'PatchAttack'", "Expected type object"]),
    "value of another type": ({"sysconfig.use_gpu": "yes"}, "sysconfig.use_gpu", ["'yes'", "Expected type boolean"]),
    "none of the choices": ({"attack.knowledge": "grey"}, "attack.knowledge", ["Expected one of white or black"]),
    "no attack": ({"attack": None}, "attack", ["fails without one", "--skip-attack"]),
    "module mistyped": ({"model.module": "armory_skelevison.models"}, "model.module", ["armory_skelevison", "Correct"]),
    "model mistyped": ({"model.name": "siamrpn_mlt"}, "model.name", ["siamrpn_mlt", "Was 'siamrpn_mtl' meant?"]),
    "no function": ({"model.name": "__all__"}, "model.name", ["cannot be called", "Name a function"]),
    "model's kwarg": (
        {"model.model_kwargs": {"keypoint_haed": "deep"}},
        "model",
        ["model_kwargs", "keypoint_haed", "Known are ['keypoint_head']"],
    ),
    "wrapper's kwarg": (
        {"model.wrapper_kwargs": {"device": "cpu"}},
        "model",
        ["wrapper_kwargs", "unknown ['device']", "Known are ['device_type', 'tracking']"],
    ),
    "wrapper's value": (
        {"model.wrapper_kwargs": {"device_type": "tpu"}},
        "model.device_type",
        ["'tpu'", 'Expected "gpu" or "cpu"'],
    ),
    "constant's name": ({"model.wrapper_kwargs": {"tracking": {"penalty": 0.1}}}, "model", ["Known are ['penalty_k'"]),
    "constant's value": (
        {"model.wrapper_kwargs": {"tracking": {"penalty_k": "0.1"}}},
        "model.tracking.penalty_k",
        ["'0.1'", "Expected a number"],
    ),
    "constants that are none": (
        {"model.wrapper_kwargs": {"tracking": [0.1]}},
        "model.tracking",
        ["[0.1]", 'Expected an object such as {"penalty_k": 0.16}'],
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
    "weights of another network": (
        {"model.weights_file": "siamrpn_alex_stl.safetensors"},
        "model.weights_file",
        ["single-task network", "load it with siamrpn_stl"],
    ),
    "several weights": ({"model.weights_file": ["a", "b"]}, "model.weights_file", ["Name one file"]),
    "training": ({"model.fit": True}, "model.fit", ['Say "fit": false']),
    "attack mistyped": ({"attack.name": "PatchAtack"}, "attack.name", ["Was 'PatchAttack' meant?"]),
    "attack's kwarg": (
        {"attack.kwargs": {"stepsize": 0.1}},
        "attack.kwargs.stepsize",
        ["PatchAttack knows no 'stepsize'", "Was 'step_size' meant?"],
    ),
    "attack's choice": ({"attack.kwargs.loss": "l3"}, "attack.kwargs.loss", ["'l3'", "Expected one of ['l1'"]),
    "attack's range": ({"attack.kwargs.max_iter": -1}, "attack.kwargs.max_iter", ["-1", "Expected a whole number"]),
    "attack's views": ({"attack.kwargs.eot": {"view": 3}}, "attack.kwargs", ["view", "nown are"]),
    "attack's start": ({"attack.kwargs.patch_init": "no.npy"}, "attack.kwargs.patch_init", ["no.npy", "Name a .npy"]),
    "attack without labels": ({"attack.use_label": False}, "attack.use_label", ['Say "use_label": true']),
    "attack of other trackers": (
        {"attack": {**RPN, "name": "PGD", "kwargs": {"eps": 0}}},
        "attack.kwargs.eps",
        ["got 0", "Expected a number above 0"],
    ),
    "attack that cannot see through": ({"attack": RPN, "defense": JPEG}, "attack", ["JpegCompression", "PGD"]),
    "defense mistyped": (
        {"defense": {**ADAPTED, "name": "TemplateAdaption"}},
        "defense.name",
        ["Was 'TemplateAdaptation' meant?"],
    ),
    "defense's kwarg": (
        {"defense": {**ADAPTED, "kwargs": {"step": 1}}},
        "defense.kwargs.step",
        ["knows no 'step'", "Was 'steps' meant?"],
    ),
    "defense's value": (
        {"defense": {**JPEG, "kwargs": {**JPEG["kwargs"], "quality": 500}}},
        "defense.kwargs",
        ["quality", "See art.defences.preprocessor.JpegCompression"],
    ),
    "defense needs": (
        {"defense": {**JPEG, "kwargs": {"quality": 50}}},
        "defense.kwargs.clip_values",
        ["needs it", "Add it"],
    ),
    "defense's weights": (
        {"defense": {**ADAPTED, "name": "DuaLossDef", "kwargs": {"weights_file": "no.safetensors"}}},
        "defense.kwargs",
        ["no weights file no.safetensors", "saved_model_dir"],
    ),
    "defense's type": ({"defense": {**ADAPTED, "type": "Postprocessor"}}, "defense.type", ["take a 'Preprocessor'"]),
    "data set mistyped": ({"dataset.name": "walker"}, "dataset.name", ["Was 'walkers' meant?"]),
    "data set's option": ({"dataset.maxframes": 5}, "dataset.maxframes", ["Was 'max_frames' meant?"]),
    "data set's value": ({"dataset.max_frames": 0}, "dataset.max_frames", ["got 0", "Expected a whole number"]),
    "two videos at a time": ({"dataset.batch_size": 2}, "dataset.batch_size", ["got 2", "Expected 1"]),
    "data set's split": ({"dataset.eval_split": "test"}, "dataset.eval_split", ["'test'", "Expected 'dev' or 'mini'"]),
    "data set's folder": ({"dataset.root": "no/such"}, "dataset.root", ["no/such", "skelevision data walkers"]),
    "metric mistyped": (
        {"metric.task": ["video_tracking_mean_iuo"]},
        "metric.task",
        ["Was 'video_tracking_mean_iou' meant?"],
    ),
    "metric's module": ({"metric.task": "no.such.metric"}, "metric.task", ["'no.such'", "Correct the name"]),
    "metric's key": ({"metric.kwargs": {}}, "metric.kwargs", ["ARMORY knows no 'kwargs'", "Was 'task_kwargs' meant?"]),
    "no metric": ({"metric": None}, "metric", ['"task": ["video_tracking_mean_iou"]']),
    "scenario mistyped": ({"scenario.name": "CarlaVideoTracker"}, "scenario.name", ["Was 'CarlaVideoTracking' meant?"]),
    "exported batches": ({"scenario.export_batches": "all"}, "scenario.export_batches", ["'all'", "whole number"]),
    "hook mistyped": ({"user_init.name": "prepare"}, "user_init.name", ["Was 'prepare_run' meant?"]),
    "hook's kwarg": ({"user_init.kwargs": {"a": 1}}, "user_init.kwargs.a", ["prepare_run knows no 'a'"]),
    "hook missing": ({"user_init": None}, "user_init", ["siamrpn_alex_mtl.safetensors", '"prepare_run"']),
    "hook of another type": ({"user_init": "prepare_run"}, "user_init", ['Expected {"kwargs": {}, "module"']),
    "image of another version": (
        {"sysconfig.docker_image": "armory-skelevision:0.0.9"},
        "sysconfig.docker_image",
        ["0.0.9", f"Say armory-skelevision:{__version__}"],
    ),
    "image with a port": (
        {"sysconfig.docker_image": f"host:5000/armory-skelevision:{__version__}"},
        "sysconfig.docker_image",
        ["port", f"armory-skelevision:{__version__}"],
    ),
    "GPU in the image without": (
        {"sysconfig.docker_image": f"mine/armory-skelevision:{__version__}-cpu", "sysconfig.use_gpu": True},
        "sysconfig.docker_image",
        ["without CUDA", f"Say armory-skelevision:{__version__}, or"],
    ),
    "GPUs": ({"sysconfig.gpus": "first"}, "sysconfig.gpus", ["'first'", "'0,1'"]),
    "repository": (
        {"sysconfig.external_github_repo": "https://x/y"},
        "sysconfig.external_github_repo",
        ["owner/name@tag"],
    ),
}

WARNINGS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "unknown section": ({"atack": {}}, "atack", ["ARMORY knows no 'atack'", "Was 'attack' meant?"]),
    "unknown key": ({"model.weight_file": "a"}, "model.weight_file", ["Was 'weights_file' meant?"]),
    "old export": ({"scenario.export_samples": 1}, "scenario.export_samples", ["does nothing", '"export_batches": 1']),
    "no IoU": ({"metric.task": ["video_tracking_mean_success_rate"]}, "metric.task", ["Add it"]),
    "image of others": (
        {"sysconfig.docker_image": "twosixarmory/armory"},
        "sysconfig.docker_image",
        ["not this package's image", f"Say armory-skelevision:{__version__}"],
    ),
    "repository without tag": (
        {"sysconfig.external_github_repo": "a/b"},
        "sysconfig.external_github_repo",
        ["'owner/name@tag'"],
    ),
    "CARLA's data": (
        {"dataset": {**build_config("carla", "mtl")["dataset"], "dataset_dir": "/no/where"}},
        "dataset",
        ["not here: there is no /no/where/carla_video_tracking_dev", "ARMORY downloads them"],
    ),
    "OTB's data": (
        {"dataset": {**build_config("otb", "mtl")["dataset"], "root": "/no/where"}},
        "dataset.root",
        ["not here", "skelevision data otb"],
    ),
    "COCO's data": (
        {"dataset": {**build_config("walkers", "mtl")["dataset"], "name": "coco_people", "eval_split": "val"}},
        "dataset.root",
        ["not here", "skelevision data coco"],
    ),
    "weights with a backdoor": (
        {key: build_config("walkers", "backdoor", "oneshot")[key] for key in ("model", "scenario")},
        "model.weights_file",
        ["there is no", "Train them, `skelevision train backdoor training_configs/backdoors/fsba.json`"],
    ),
    "NanoTrack's weights": (
        {"model": build_config("walkers", "nanotrack")["model"]},
        "model.weights_file",
        ["not part of this package", "Get nanotrackv3.pth in https://github.com/HonglinChu"],
    ),
}


@pytest.fixture(autouse=True)
def _surroundings() -> Iterator[None]:
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


def check_told(findings: list[Finding], level: str, key: str, parts: list[str]) -> None:
    assert [(finding.level, finding.key) for finding in findings] == [(level, key)], [str(f) for f in findings]
    place = -1
    line = str(findings[0])
    assert "\n" not in line
    for part in parts:
        assert (place := line.find(part, place + 1)) >= 0, f"{part!r} is not, or not in its place, in {line!r}"
    assert findings[0].mend


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_with_their_mend(name: str) -> None:
    changes, key, parts = FAULTS[name]
    check_told(check_config(change(changes)), "fault", key, parts)


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_named_with_their_mend(name: str) -> None:
    changes, key, parts = WARNINGS[name]
    check_told(check_config(change(changes)), "warning", key, parts)


def test_every_fault_is_told_at_once() -> None:
    config = change({"attack.kwargs": {"stepsize": 1, "maxiter": 2}, "dataset.root_": 1, "sysconfig.gpus": "x"})
    told = [finding.key for finding in check_config(config)]
    assert told == ["attack.kwargs.stepsize", "attack.kwargs.maxiter", "dataset.root_", "sysconfig.gpus"]
    config = change({"attack.module": ABSENT, "attack.name": ABSENT, "model.fit": ABSENT})
    assert [finding.key for finding in check_config(config)] == ["attack", "model"]
    assert "lacks 'module', 'name'" in str(check_config(config)[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "Expected type object"),
        ('{"model": 1, "model": 2}', "'model' occurs twice"),
        ("[" * 100_000, "is not JSON"),
        ("\udcff", "is not JSON"),
    ],
)
def test_files_that_are_no_configs(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, errors="surrogateescape")
    (finding, *_) = check_file(path)
    assert finding.level == "fault"
    assert told in str(finding)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = change({"sysconfig.use_gpu": True})
    check_told(check_config(config), "fault", "sysconfig.use_gpu", ["none is seen", '"use_gpu": false'])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_config(config) == []
    config["sysconfig"]["gpus"] = "1,2"
    check_told(check_config(config), "fault", "sysconfig.gpus", ["no GPU 2", "Name one of 0 to 1"])


def test_weights_with_a_backdoor_and_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "poisoned.safetensors"
    save_weights(SiamRPN(), path, Metadata(None, 0.0, "None.", "MIT", 1, backdoor=True))
    config = change({"model.name": "siamrpn_stl", "model.weights_file": str(path)})
    check_told(check_config(config), "warning", "model.weights_file", ["carries a backdoor", "Name other weights"])

    path.write_bytes(path.read_bytes()[:-100])
    check_told(check_config(config), "fault", "model.weights_file", ["truncated", "skelevision weights verify"])


def test_other_weights_in_the_place_of_packaged_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "saved_model_dir", lambda: tmp_path)
    name = "siamrpn_alex_mtl.safetensors"
    assert model.find_weights_file(change({})) == (PACKAGED_WEIGHTS / name, [])
    installed = Path(shutil.copy(PACKAGED_WEIGHTS / name, tmp_path))
    assert model.find_weights_file(change({})) == (installed, [])
    with installed.open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([installed.read_bytes()[-1] ^ 1]))
    path, findings = model.find_weights_file(change({}))
    assert path == installed
    check_told(findings, "warning", "model.weights_file", ["differs from the weights of that name", "Delete or rename"])


def test_modules_of_the_working_directory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as `python -m` would find them, and the `skelevision` program by itself would not
    (tmp_path / "my_tracker.py").write_text("def make(model_kwargs, wrapper_kwargs, weights_path=None): raise\n")
    (tmp_path / "my_broken_tracker.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with as_in_a_run():
        config = change({"model.module": "my_tracker", "model.name": "make"})
        assert check_config(config) == []
        config["model"]["weights_file"] = "mine.pt"
        check_told(check_config(config), "warning", "model.weights_file", ["mine.pt", "Put the file there"])
        config["model"]["weights_file"] = None
        config["model"]["module"] = "my_broken_tracker"
        check_told(check_config(config), "fault", "model.module", ["ZeroDivisionError", "Mend 'my_broken_tracker'"])


def test_shipped_configs_are_right(root: Path) -> None:
    paths = sorted((root / "scenario_configs").glob("*.json"))
    findings = {path.stem: check_file(path) for path in paths}
    assert len(findings) > 20
    assert [str(finding) for found in findings.values() for finding in found if finding.level == "fault"] == []
    for name, found in findings.items():
        if name.startswith("walkers") and not {"nanotrack", "backdoor"} & set(name.split("_")):
            assert found == [], json.dumps([str(finding) for finding in found])
