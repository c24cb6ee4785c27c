"""The real `armory run` in a process of its own, and its evaluations of our configs, on packaged videos."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from armory_runs import armorys_folder, evaluate
from signals import hear_ctrl_c

from armory_skelevision import load_video
from armory_skelevision.attacks.patch import read_scene
from armory_skelevision.attacks.patch.reach import frames_in_reach, response_size
from armory_skelevision.boxes import iou
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.evaluation.table import IN_REACH
from armory_skelevision.models import siamrpn_mtl
from armory_skelevision.results.result_file import read_run
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MINI = read_split(SPLITS / "mini")


def changed_config(
    attack: str = "patch", defense: str | None = None, frames: int = 12, steps: int = 2, **scenario: Any
) -> dict[str, Any]:
    """A walkers config: short videos, few steps of the attack, what else is asked for."""
    config = copy.deepcopy(build_config("walkers", "mtl", attack, defense))
    length = {"iou": "max_queries", "autopatch": "budget"}.get(attack, "max_iter")
    config["attack"]["kwargs"][length] = 4 if attack == "iou" else steps
    config["dataset"]["max_frames"] = frames
    config["scenario"].update(scenario)
    return config


def run_changed(folder: Path, *options: str, **changes: Any) -> Path:
    """`armory run` on a changed config."""
    path = folder / "a config.json"
    path.write_text(format_config(changed_config(**changes)))
    return run_config(path, *options)


def results_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())["results"]


def test_benign_adversarial_and_exported_videos(tmp_path: Path) -> None:
    result = run_changed(tmp_path, "--num-eval-batches=1", export_batches=1)
    run = read_run(result)
    assert run.benign.mean_iou is not None
    assert run.adversarial.mean_iou is not None
    assert 0.5 < run.benign.mean_iou <= 1
    assert 0 <= run.adversarial.mean_iou < run.benign.mean_iou
    assert len(run.reach) == 1
    assert len(results_of(result)["benign_video_tracking_mean_iou"]) == 1
    assert not Path("~/.armory/config.json").expanduser().exists()

    samples = result.parent / "saved_samples"
    frames = len(list(samples.glob("batch_0_ex_0_scenario.x/*_with_boxes.png")))
    assert frames == 12
    sizes = set()
    for name in ("batch_0_ex_0_scenario.x", "batch_0_ex_0_scenario.x_adv"):
        plain = samples / name / f"video_{name}.mp4"
        without, with_boxes = decode(plain), decode(plain.with_stem(f"{plain.stem}_with_boxes"))
        sizes.add(without.shape)
        assert without.shape == with_boxes.shape
        # a drawn box changes some pixels of every frame, and few
        changed = (np.abs(without.astype(int) - with_boxes).max(axis=-1) > 60).mean(axis=(1, 2))
        assert (changed > 0.0005).all()
        assert (changed < 0.2).all()
    (shape,) = sizes
    # ARMORY's exporter feeds ffmpeg at 25 frames per second, whatever the rate of the video that it asks for
    assert abs(shape[0] - frames * rate_of(plain) / 25) <= 2


def decode(path: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            break
        frames.append(frame)
    assert len(frames) > 1, f"{path} does not play"
    return np.stack(frames)


def rate_of(path: Path) -> float:
    return cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS)


def test_check_and_skip_benign_in_the_users_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a home"
    names = ("dataset_dir", "local_git_dir", "output_dir", "saved_model_dir", "tmp_dir")
    own = {name: str(tmp_path / "own folders" / name) for name in names}
    configuration = home / ".armory" / "config.json"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps({**own, "verify_ssl": True}))
    before = configuration.read_bytes()
    monkeypatch.setenv("HOME", str(home))

    result = run_changed(tmp_path, "--check", "--skip-benign", frames=3)
    assert read_run(result).benign.mean_iou is None
    assert read_run(result).adversarial.mean_iou is not None
    assert result.is_relative_to(own["output_dir"])
    assert configuration.read_bytes() == before
    config = json.loads(result.read_text())["config"]
    assert config["attack"]["kwargs"]["max_iter"] == 1
    assert sorted(path.name for path in Path(own["saved_model_dir"]).glob("*.safetensors")) == sorted(
        path.name for path in PACKAGED_WEIGHTS.glob("*.safetensors")
    )


def test_skip_attack_and_number_of_videos(tmp_path: Path) -> None:
    result = evaluate(changed_config(frames=3), tmp_path, batches=2, skip_attack=True)
    assert read_run(result).adversarial.mean_iou is None
    assert len(results_of(result)["benign_video_tracking_mean_iou"]) == 2


def test_the_strongest_patch_runs_from_its_config_and_its_reach_is_in_the_result(tmp_path: Path) -> None:
    run = read_run(evaluate(changed_config("autopatch", frames=8), tmp_path, batches=2))
    videos = [load_video(f"walkers/mini/{number}")[:8] for number in range(2)]
    tracker = siamrpn_mtl({}, {"device_type": "cpu"})
    scenes = [
        read_scene(video.frames, video.boxes_xyxy, video.patch_metadata, torch.device("cpu"), 0) for video in videos
    ]
    size = response_size(tracker.model, tracker.settings)
    assert run.reach == tuple(frames_in_reach(scene, tracker.settings, size).mean() for scene in scenes)
    near = [iou for iou, share in zip(run.adversarial.complete_ious(), run.reach, strict=True) if share >= IN_REACH]
    assert near and run.adversarial.means["iou_in_reach"] == pytest.approx(np.mean(near))


@pytest.mark.parametrize("attack", ["pgd", "rtaa", "iou"])
def test_digital_attacks_run_from_their_configs(tmp_path: Path, attack: str) -> None:
    run = read_run(evaluate(changed_config(attack, frames=5), tmp_path, batches=1))
    assert run.benign.mean_iou is not None
    assert run.adversarial.mean_iou is not None
    assert run.adversarial.mean_iou != run.benign.mean_iou


def test_a_region_defense_runs_from_its_config(tmp_path: Path) -> None:
    config = changed_config(defense="templateadaptation", frames=5, steps=1)
    run = read_run(evaluate(config, tmp_path, batches=1))
    assert run.adversarial.mean_iou is not None
    video = MINI[0]
    frames, truth = video.read_frames()[None, :5].astype(np.float32) / 255, torch.as_tensor(video.boxes_xyxy[:5])
    found = []
    for defenses in ([], [TemplateAdaptation()]):
        estimator = siamrpn_mtl({}, {})
        estimator.set_params(preprocessing_defences=defenses)
        boxes = estimator.predict(frames, y_init=video.boxes_xyxy[:1])[0]["boxes"]
        found.append(float(iou(torch.as_tensor(boxes), truth)[1:].mean()))
    assert run.benign.mean_iou == pytest.approx(found[1], abs=1e-3)
    assert abs(found[1] - found[0]) > 2e-3


def somebody_is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_a_run_within_two_seconds_and_leaves_whole_files_only(tmp_path: Path) -> None:
    config = build_config("walkers", "mtl")
    config["dataset"]["max_frames"] = 5
    config["attack"]["kwargs"].update(max_iter=8, export=str(tmp_path / "patches"))
    path = tmp_path / "config.json"
    path.write_text(format_config(config))
    before = set(armorys_folder("output_dir").rglob("*.json"))
    command = [sys.executable, "-m", "armory", "run", str(path), "--no-docker", "--skip-benign"]
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=hear_ctrl_c, **nowhere)
    try:
        while not (tmp_path / "patches" / "patch_000.json").exists():  # then the next video is under attack
            assert process.poll() is None, "the run ended before its first patch was made"
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        began = time.monotonic()
        process.wait(timeout=60)
        assert time.monotonic() - began < 2
        # ARMORY has given the terminal back by now; the process that it started may still be unloading TensorFlow.
        while somebody_is_left(process.pid) and time.monotonic() - began < 10:
            time.sleep(0.02)
        assert not somebody_is_left(process.pid)
    finally:
        if somebody_is_left(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    names = sorted(file.name for file in (tmp_path / "patches").iterdir())
    made = sorted({name.partition(".")[0] for name in names})
    assert names == [f"{patch}.{kind}" for patch in made for kind in ("json", "npy", "png")]
    assert len(made) < len(MINI), "the run was over before it was interrupted"
    assert set(armorys_folder("output_dir").rglob("*.json")) == before
