"""The benchmarks run and say what they promise; how fast anything is, is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from doubles import tiny_estimator
from people_data import make_coco

from benchmarks.launches import count_patch, count_tracking
from benchmarks.measuring import network_crops
from benchmarks.scene import draw_scene
from benchmarks.trackers import make_trackers

TORCHVISION = Path(__file__).parent.parent.parent / ".venv-torchvision"
TINY = ("--frames", "2", "--height", "128", "--width", "160", "--iterations", "1", "--device", "cpu")


def run(script, *options):
    """A benchmark in a process of its own, as it is meant to be run: its table and its JSON."""
    command = [sys.executable, "-m", script, "--json", *TINY, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    return table, json.loads(last)


@pytest.fixture
def in_this_process(monkeypatch):
    """Spare the columns of a benchmark the imports in a process of their own."""
    from benchmarks import common

    monkeypatch.setattr(common, "in_own_process", lambda work, setting: work(setting))


@pytest.fixture
def on_a_tiny_tracker(monkeypatch):
    """Let a benchmark of the packaged tracker take the tiny one, which bf16 in software does not slow down."""
    from benchmarks.common import Setting

    def load(setting):
        return tiny_estimator(), draw_scene(setting.frames, setting.height, setting.width, setting.seed)

    monkeypatch.setattr(Setting, "load", load)


@pytest.mark.filterwarnings('ignore:"precision"')  # bf16 is measured on any processor, also where it is slow
def test_attack_without_torchvision(script, in_this_process, on_a_tiny_tracker, tmp_path):
    table, result = script("benchmarks.attack", *TINY, "--torchvision", tmp_path)
    columns = result["columns"]
    assert list(columns) == ["graph", "recompute", "bf16", "armory", "floor"]
    assert [line.split()[0] for line in table[1:]] == list(columns)
    for name in ("graph", "recompute", "bf16"):
        assert all(columns[name][key] > 0 for key in ("seconds", "loss_before")) and columns[name]["peak_mb"] >= 0
        assert columns[name]["loss_after"] > columns[name]["loss_before"]
    assert columns["floor"]["seconds"] > 0 and columns["floor"]["note"] in ("frame by frame", "in one batch")
    assert result["over_floor"] == pytest.approx(columns["graph"]["seconds"] / columns["floor"]["seconds"])
    assert result["loss_ours"] == columns["graph"]["loss_after"]

    assert columns["armory"]["note"].startswith(f"not available: there is no torchvision in {tmp_path}")
    assert columns["armory"]["seconds"] is None
    keys = ("speedup", "memory_ratio", "speedup_bf16", "loss_armory", "scaling")
    assert {key: result[key] for key in keys} == dict.fromkeys(keys)


@pytest.mark.skipif(not TORCHVISION.is_dir(), reason=f"no torchvision in {TORCHVISION.name}; see benchmarks/attack.py")
def test_attack_beside_armory():
    _, result = run("benchmarks.attack", "--mode", "recompute")
    ours, armory = result["columns"]["recompute"], result["columns"]["armory"]
    assert armory["note"] == ""
    assert armory["loss_before"] == pytest.approx(ours["loss_before"], rel=1e-3)
    assert armory["loss_after"] > armory["loss_before"]
    assert result["speedup"] == pytest.approx(armory["seconds"] / ours["seconds"])
    assert result["memory_ratio"] == pytest.approx(armory["peak_mb"] / ours["peak_mb"])
    assert result["speedup_bf16"] == pytest.approx(armory["seconds"] / result["columns"]["bf16"]["seconds"])


def test_tracker(script, in_this_process):
    table, result = script("benchmarks.tracker", *TINY)
    columns, speed = result["columns"], result["frames_per_second"]
    assert list(columns) == list(speed) == ["ours", "authors", "mil", "floor", "frames"]
    assert [line.split()[0] for line in table[1:6]] == list(columns)
    assert all(value > 0 for value in speed.values())
    assert result["speedup"] == pytest.approx(speed["ours"] / speed["authors"])
    assert result["over_floor"] == pytest.approx(speed["floor"] / speed["ours"])
    assert result["over_frames"] == pytest.approx(speed["frames"] / speed["ours"])
    assert columns["frames"]["note"] == "frame by frame"
    # The same network in the same recurrence: two codes, one track.
    assert columns["ours"]["mean_iou"] == pytest.approx(columns["authors"]["mean_iou"], abs=0.01)
    assert columns["ours"]["mean_iou"] > 0.5


@pytest.mark.parametrize("name", ["SiamFC++", "NanoTrack"])
def test_other_trackers_beside_the_loops_of_their_authors(name, script, in_this_process):
    _, result = script("benchmarks.tracker", *TINY, "--tracker", name)
    assert result["tracker"] == name and result["over_floor"] > 0
    if name == "NanoTrack":
        assert result["speedup"] is None and "NanoTrack's author" in result["columns"]["authors"]["note"]
    else:
        assert result["speedup"] > 0


@pytest.mark.parametrize("name", make_trackers())
def test_the_bare_network_works_on_the_crops_of_the_tracker(name):
    estimator = make_trackers()[name]()
    crops = network_crops(estimator, draw_scene(2, 128, 160, 0))
    side = estimator.settings.instance_size
    assert crops.template.shape[0] == 1 and crops.template.shape[-1] == estimator.settings.exemplar_size
    assert crops.search.shape == (2, 3, side, side)
    assert "embed" not in vars(estimator.model)


def test_scene_is_the_same_in_frames_of_any_size():
    from benchmarks.scene import PERSON_WH, draw_scene

    small, again, large = draw_scene(3, 128, 160), draw_scene(3, 128, 160), draw_scene(3, 256, 320)
    np.testing.assert_array_equal(small.x, again.x)
    assert large.x.shape == (1, 3, 256, 320, 3) and large.x.dtype == np.float32
    assert 0 <= large.x.min() < large.x.max() <= 1
    middle = [80, 64]
    for scene, scale in ((small, 1), (large, 2)):
        corners_xy = scene.metadata[0]["gs_coords"] - np.multiply(middle, scale)
        boxes_xyxy = scene.y[0]["boxes"] - np.tile(np.multiply(middle, scale), 2)
        np.testing.assert_array_equal(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], [PERSON_WH] * 3)
        np.testing.assert_array_equal(corners_xy, small.metadata[0]["gs_coords"] - middle)
        np.testing.assert_array_equal(boxes_xyxy, small.y[0]["boxes"] - np.tile(middle, 2))
    green = large.x[0][large.metadata[0]["masks"][..., 0] == 1]
    assert (green[:, 1] > 2 * green[:, 0]).all()


def want_too_much(setting):
    return np.ones(2**50)


def test_want_of_memory_is_reported_and_not_fatal():
    from benchmarks.common import Setting, measure_columns

    columns = measure_columns({"huge": want_too_much, "fine": str}, Setting(), absent=lambda note: note)
    assert columns["huge"].startswith("not available: more memory is needed than there is: Unable to allocate")
    assert columns["fine"] == str(Setting())


def test_loader_beside_the_training_step(script, tmp_path):
    from armory_skelevision.datasets.coco import read_coco
    from armory_skelevision.training.data.real_crops.building import build_crops

    make_coco(tmp_path, 2)
    build_crops(read_coco(tmp_path / "people.json", tmp_path / "images"), tmp_path / "store")
    store = str(tmp_path / "store")
    settings = {"store": store, "validation_store": store, "folder": "nowhere", "keypoint_head": "shallow"}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings | {"search_side": 191, "batch_size": 2, "workers": 0}))
    _, result = script("benchmarks.loader", path, "--batches", "2")
    assert all(result[name] > 0 for name in ("loader", "step", "training"))
    assert result["ratio"] == pytest.approx(result["loader"] / result["step"])
    assert result["reached"] == pytest.approx(result["training"] / result["step"])


def test_launches_of_a_tracker_and_of_an_attack_on_it():
    tracking, patch = count_tracking(tiny_estimator), count_patch(tiny_estimator, "recompute")
    assert (tracking["copies"], tracking["waits"]) == (1, 1)
    assert (patch["copies"], patch["waits"]) == (2, 2)
    assert 5 < tracking["launches"] < patch["launches"] < patch["operations"]


@pytest.mark.filterwarnings('ignore:"precision"', "ignore:.*self.log")
def test_everything_of_one_device_in_one_call(script, in_this_process, on_a_tiny_tracker, monkeypatch, tmp_path):
    from benchmarks import trackers

    small = dict(list(trackers.make_trackers().items())[-1:])
    monkeypatch.setattr(trackers, "make_trackers", lambda device="cpu": small)
    little = ("--lockstep", "2", "--batches", "1", "--batch-size", "1", "--side", "191")
    options = ("--out", tmp_path, "--torchvision", tmp_path, *little)
    lines, result = script("benchmarks.gpu", *TINY, *options)
    assert list(result["parts"]) == ["tracking", "patch attack", "defense", "training"]
    assert {"NanoTrack, 1", "NanoTrack, 2"} == set(result["parts"]["tracking"])
    rows = {name: row for part in result["parts"].values() for name, row in part.items()}
    assert rows.pop("ARMORY's")["note"].startswith("not available: there is no torchvision")
    rates = ("frames per second", "seconds", "ms per frame", "pairs per second")
    for name, row in rows.items():
        assert [row[key] > 0 for key in rates if row.get(key)] == [True], name
    assert json.loads((tmp_path / "RESULTS-cpu.json").read_text()) == result
    assert "\n".join(lines).strip() == (tmp_path / "RESULTS-cpu.md").read_text().strip()


def test_what_does_not_fit_into_the_time_is_left_out(script, in_this_process, tmp_path):
    _, result = script("benchmarks.gpu", *TINY, "--out", tmp_path, "--seconds", "0")
    notes = {row["note"] for part in result["parts"].values() for row in part.values()}
    assert notes == {"left out: more than 0 seconds were over"}
