"""Each key of some configs with odd values: the check never fails, and what it calls right can be made."""

import copy
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.evaluation.check import check_all, check_config
from armory_skelevision.evaluation.check import run as running
from armory_skelevision.evaluation.configs import build_config

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "no text": "",
    "text": "x",
    "-1": -1,
    "0": 0,
    "1e300": 1e300,
    "NaN": float("nan"),
    "2**62": 2**62,
    "10**400": 10**400,
    "no list": [],
    "list": ["x"],
    "object": {"x": 1},
    "2.5": 2.5,
}
PATCH = build_config("walkers", "mtl", "patch", "dualossdef")
ADDED: dict[str, dict[str, Any]] = {
    "attack": {"generate_kwargs": {}, "type": None},
    "attack.kwargs": {
        **dict.fromkeys(("patch_init", "export", "eot", "target_box")),
        "loss": "l1",
        "restarts": 1,
        "checkpoints": [],
        "momentum": 0.0,
        "tv_weight": 0,
        "start": "grey",
    },
    "dataset": {"index": None, "max_frames": 10, "root": None, "epochs": 1, "split": "mini"},
    "metric": {"task_kwargs": None, "max_record_size": None},
    "model": {"predict_kwargs": {}},
    "model.wrapper_kwargs": {"tracking": {"context": 0.5, "instance_size": 287, "min_size": 10}},
    "scenario": {"export_batches": 0},
}


def external_config() -> dict[str, Any]:
    config = build_config("walkers", "mtl", "iou")
    kwargs = {"factory": "own_trackers:make", "color": "RGB", "kwargs": {"kind": "RedTracker"}}
    config["model"].update(name="external", model_kwargs=kwargs, weights_file=None)
    return config


def transfer_config() -> dict[str, Any]:
    config = build_config("walkers", "mtl")
    config["attack"].update(name="Transfer", kwargs={"source": "siamrpn_stl", "attack": "PGD", "kwargs": {"eps": 0.1}})
    return config


CONFIGS = {
    "patch": PATCH,
    "rtaa": build_config("walkers", "mtl", "rtaa", None),
    "iou": build_config("walkers", "mtl", "iou", None),
    "keypoints": build_config("walkers", "mtl", "keypoints_igsm", None),
    "trigger": build_config("walkers", "backdoor", "oneshot", None),
    "adapted": build_config("walkers", "mtl", "patch", "templateadaptation"),
    "nanotrack": build_config("walkers", "nanotrack"),
    "external": external_config(),
    "transfer": transfer_config(),
}
VARIED = {"patch": "", "rtaa": "attack.kwargs", "iou": "attack.kwargs", "keypoints": "attack.kwargs"} | {
    "trigger": "attack.kwargs",
    "adapted": "defense.kwargs",
    "nanotrack": "model",
    "external": "model",
    "transfer": "attack.kwargs",
}
"""The part of each config whose values are varied."""


def at(config: dict[str, Any], way: str) -> Any:
    for key in filter(None, way.split(".")):
        config = config[key]
    return config


def with_added(config: dict[str, Any]) -> dict[str, Any]:
    whole = copy.deepcopy(config)
    for way, added in ADDED.items():
        at(whole, way).update(copy.deepcopy(added))
    return whole


def ways(config: Any, way: tuple[str, ...] = ()) -> Iterator[str]:
    if way:
        yield ".".join(way)
    if isinstance(config, dict):
        for key, value in config.items():
            yield from ways(value, (*way, key))


def changed(config: dict[str, Any], way: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    above, _, key = way.rpartition(".")
    at(changed, above)[key] = value
    return changed


def cases(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    whole = with_added(CONFIGS[name]) if name == "patch" else CONFIGS[name]
    for way in ways(whole):
        if f"{way}.".startswith(f"{VARIED[name]}." if VARIED[name] else ""):
            for label, value in VALUES.items():
                yield way, label, changed(whole, way, value)


def make(config: dict[str, Any], made: dict[str, Any]) -> None:
    """Make model, defense and attack as ARMORY does, unless the same were made before."""
    model, attack, defense = config["model"], config["attack"], config["defense"]
    key = repr((model["name"], model["model_kwargs"], model["wrapper_kwargs"]))
    if key not in made:
        wrapper_kwargs = {**model["wrapper_kwargs"], "device_type": "cpu"}
        made[key] = getattr(import_module(model["module"]), model["name"])(model["model_kwargs"], wrapper_kwargs, None)
    defended = repr(defense)
    if defended not in made and defense is not None:
        made[defended] = getattr(import_module(defense["module"]), defense["name"])(**defense["kwargs"])
    made[key].set_params(preprocessing_defences=[made[defended]] if defense is not None else [])
    getattr(import_module(attack["module"]), attack["name"])(made[key], **attack["kwargs"])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_check_never_fails_and_what_it_calls_right_can_be_made(name: str) -> None:
    known: dict[str, Any] = {}
    made: dict[str, Any] = {}
    tried = right = 0
    for way, label, config in cases(name):
        findings = check_config(config, known)
        unforeseen = [finding for finding in findings if "Error(" in finding.problem]
        assert not unforeseen, f"{way} = {label}: {unforeseen}"
        tried += 1
        if not any(finding.level in ("error", "missing") for finding in findings):
            make(config, made)
            right += 1
    assert tried > 30
    assert (right > 0) == (name not in ("trigger", "nanotrack"))  # whose weights are missing


CANNOT_RUN = {
    "export": {"attack.kwargs.export": True},
    "no start": {"attack.kwargs.patch_init": ""},
    "scenario's kwarg": {"scenario.kwargs": {"maximum": 1}},
    "one frame": {"dataset.max_frames": 1},
    "context": {"model.wrapper_kwargs": {"tracking": {"context": 1e300}}},
    "search crop": {"model.wrapper_kwargs": {"tracking": {"instance_size": 40000}}},
    "small template": {"model.wrapper_kwargs": {"tracking": {"exemplar_size": 40}}},
    "steps": {"attack.kwargs.max_iter": 10**12},
    "restarts": {"attack.kwargs.restarts": 10**9},
    "transformations": {"attack.kwargs.eot": {"samples": 10**9}},
    "blur": {"attack.kwargs.eot": {"blur": 1e9}},
    "target box": {"attack.kwargs.loss": "targeted", "attack.kwargs.target_box": {"box_xyxy": [40, 40, 10, 10]}},
    "seed without effect": {"attack.kwargs.seed": 3},
    "arguments of generate": {"attack.generate_kwargs": None},
    "arguments of predict": {"model.predict_kwargs": {"y": 1}},
    "videos in lockstep": {"model.predict_kwargs": {"batch_size": 0}},
    "kind of attack": {"attack.type": "sweep"},
    "repeated data": {"dataset.epochs": 3},
    "overridden split": {"dataset.split": "no"},
    "slice backwards": {"dataset.eval_split": "mini[2:1]"},
    "empty slice": {"dataset.eval_split": "mini[1:1]"},
    "slice beyond the end": {"dataset.eval_split": "mini[2:9]"},
    "two splits": {"dataset.eval_split": "mini+dev"},
    "share of a split": {"dataset.eval_split": "mini[:50%]"},
    "empty index": {"dataset.index": []},
    "text for an index": {"dataset.index": "x"},
    "no text for an index": {"dataset.index": ""},
    "negative index": {"dataset.index": [-1]},
    "same index twice": {"dataset.index": [1, 1]},
    "truth for an index": {"dataset.index": [True]},
    "index beyond the end": {"dataset.index": [7]},
    "sliced index beyond the end": {"dataset.index": "[2:9]"},
    "no patch on people": {"dataset.name": "walker_people", "dataset.max_frames": 5},
    "no strongest patch on people": {
        "attack.name": "AutoPatch",
        "attack.kwargs": {},
        "dataset.name": "walker_people",
        "dataset.max_frames": 5,
    },
    "keypoint metrics": {"metric.task": ["armory_skelevision.metrics.pck"]},
    "keypoint scenario": {
        "scenario.module": "armory_skelevision.evaluation.scenarios",
        "scenario.name": "KeypointTracking",
    },
    "nothing universal": {"attack.name": "KeypointUniversal", "attack.kwargs": {"eps": 0.1}},
    "lost results": {"metric.max_record_size": 10},
    "out of the outputs": {"sysconfig.output_filename": "../../x"},
}


@pytest.mark.parametrize("changes", CANNOT_RUN.values(), ids=CANNOT_RUN.keys())
def test_configs_that_cannot_run_whatever_the_data(changes: dict[str, Any]) -> None:
    config = build_config("walkers", "mtl", "patch")
    for way, value in changes.items():
        config = changed(config, way, value)
    (finding, *_) = [finding for finding in check_config(config) if finding.level != "warning"]
    assert finding.level == "error"
    assert finding.key.split(".")[0] in {"attack", *(way.split(".")[0] for way in changes)}, str(finding)


def test_weights_that_are_missing_hide_nothing_else() -> None:
    config = changed(build_config("walkers", "nanotrack"), "attack.kwargs.loss", "l3")
    assert [(finding.level, finding.key) for finding in check_config(config)] == [
        ("missing", "model.weights_file"),
        ("error", "attack.kwargs.loss"),
    ]
    config = changed(build_config("walkers", "mtl", "patch"), "model.weights_file", "none.safetensors")
    config = changed(config, "model.model_kwargs", {"keypoint_head": "flat"})
    assert [finding.key for finding in check_config(config)] == [
        "model.weights_file",
        "model.model_kwargs.keypoint_head",
    ]


def test_a_check_that_fails_is_a_finding_and_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Any, made: Any) -> Any:
        if config["model"]["fit"]:
            raise RuntimeError("unforeseen")
        return check(config, made)

    check = running.check_config
    monkeypatch.setattr(running, "check_config", fail)
    monkeypatch.setattr(running, "check_machine", list)
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, (way, value) in zip(paths, (("model.fit", True), ("attack.kwargs.loss", "l3")), strict=True):
        path.write_text(json.dumps(changed(build_config("walkers", "mtl", "patch"), way, value)))
    first, second = check_all(paths)
    assert (first.level, first.where, "unforeseen" in first.problem) == ("error", str(paths[0]), True)
    assert (second.key, second.where) == ("attack.kwargs.loss", str(paths[1]))


def test_values_of_a_config_cannot_steer_a_terminal() -> None:
    config = changed(build_config("walkers", "mtl", "patch"), "model.weights_file", "\x1b[2Jno errors\n")
    (finding,) = check_config(config)
    assert str(finding).isprintable()
