"""Result files, runs' folders and sweeps as they lie on disk, with numbers made up by hand."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.configs import build_config

METRIC = "video_tracking_mean_iou"


def make_config(model: str = "mtl", **changes: Any) -> dict[str, Any]:
    """A config on the packaged videos; changes by dotted key, with "__" for each dot."""
    config = copy.deepcopy(build_config("walkers", model))
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    return config


def make_results(benign: Sequence[float] = (), adversarial: Sequence[float] = (), **further: Any) -> dict[str, Any]:
    """ARMORY's "results" of runs with these IoUs of videos."""
    results: dict[str, Any] = {"compute": {}, **further}
    for side, ious in (("benign", benign), ("adversarial", adversarial)):
        if ious:
            results[f"{side}_{METRIC}"] = [[iou] for iou in ious]
            results[f"{side}_mean_{METRIC}"] = [sum(ious) / len(ious)]
    return results


def write_result(
    path: Path, results: Mapping[str, Any], config: Mapping[str, Any] | None = None, timestamp: int = 1795270699
) -> Path:
    """A result file as ARMORY writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"armory_version": "0.19.2", "config": config or {}, "results": results, "timestamp": timestamp}
    path.write_text(json.dumps(content, indent=4, sort_keys=True))
    return path


def make_frames(*ious: Sequence[float], side: str = "benign") -> dict[str, Any]:
    """ "results" with these IoUs of frames, a list for each video, and boxes of 10 x 10 pixels that have them."""
    true = [[[0.0, 0.0, 10.0, 10.0]] * len(video) for video in ious]
    # Moved by d to the right, a box has an IoU of (10 - d) / (10 + d) with the true one.
    moved = [[10 * (1 - iou) / (1 + iou) for iou in video] for video in ious]
    found = [[[d, 0.0, 10 + d, 10.0] for d in video] for video in moved]
    frames = {"frame_iou": [list(video) for video in ious], "frame_boxes": found, "true_boxes": true}
    return {f"{side}_{metric}": [[video] for video in videos] for metric, videos in frames.items()}


def write_plan(folder: Path, grid: Mapping[str, Any] | None = None, runs: Sequence[Mapping[str, Any]] = ()) -> Path:
    """What a sweep writes before it runs anything."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = [{"labels": {}, "values": {}, "options": [], **run} for run in runs]
    (folder / "runs.json").write_text(json.dumps({"grid": grid or {"axes": {}}, "runs": planned}))
    return folder


def write_run(
    folder: Path, config: Mapping[str, Any], results: Mapping[str, Any] | None, state: str = "finished", **record: Any
) -> Path:
    """A run of a sweep; without results it has failed, or is missing if ``state`` says so."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if results is not None:
        write_result(folder / "result.json", results, config)
    if state != "missing":
        written = {
            "values": {},
            "labels": {},
            "hash": "0123456789abcdef" * 4,
            "versions": {"armory_skelevision": "0.1.0", "torch": "2.13.0"},
            "weights": {"weights.safetensors": "ab" * 32},
            "seconds": 12.5,
            "state": state,
            "command": f"armory run {folder}/config.json --no-docker",
            **record,
        }
        (folder / "run.json").write_text(json.dumps(written))
    return folder


def make_keypoint_results(shares: Mapping[str, tuple[float | None, float | None]], relative: float) -> dict[str, Any]:
    """ "results" of a run in which these shares of each keypoint were found, without the attack and under it."""
    tables = {
        f"{side}_keypoint_pck": [{keypoint: pair[number] for keypoint, pair in shares.items()}]
        for number, side in enumerate(("benign", "adversarial"))
    }
    means = {f"{side}_mean_pck": [value] for side, value in (("benign", 0.9), ("adversarial", 0.9 * relative / 100))}
    return make_results((0.8,), (0.7,), **tables, **means, relative_pck=[relative])


def write_sweep(folder: Path, grid: Mapping[str, Any] | None = None) -> Path:
    """A sweep of two models, two numbers of steps and two seeds; one run failed, one is missing."""
    ious = {
        # of the videos, under attack, for each seed
        ("stl", 10): [(0.2, 0.4), (0.4, 0.6)],
        ("stl", 20): [(0.1, 0.2), (0.1, 0.4)],
        ("mtl", 10): [(0.5, 0.7), (0.7, 0.7)],
        ("mtl", 20): [(0.1, 0.1), None],
    }
    for (model, steps), seeds in ious.items():
        for seed, found in enumerate(seeds):
            config = make_config(model, attack__kwargs__max_iter=steps, attack__kwargs__seed=seed)
            benign = (0.7, 0.8) if model == "stl" else (0.8, 0.9)
            results = make_results(benign, found) if found else None
            state = "finished" if found else "failed"
            record = {"error": "ValueError: <script>alert(1)</script>", "log_end": ["it broke"]} if not found else {}
            write_run(folder / f"{model}-{steps}-{seed}", config, results, state, **record)
    planned = {"name": "mtl-40-0", "config": make_config(attack__kwargs__max_iter=40, attack__kwargs__seed=0)}
    return write_plan(folder, grid or {"title": "STL & <MTL>", "axes": {}}, [planned])
