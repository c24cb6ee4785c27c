"""Sweeps whose runs take no time: what is run, what is kept, and what is left of those that are stopped."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from signals import hear_ctrl_c
from sweeping import Sweeping

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.io import locked
from armory_skelevision.sweeps import run as planned
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.local_engine import run_local
from armory_skelevision.sweeps.sweep import format_progress, read_progress, run_sweep

STEPS = "attack.kwargs.max_iter"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@pytest.fixture
def sweeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Sweeping(tmp_path / "a sweep", monkeypatch)
    yield made
    for pid in made.runs_left():
        os.kill(pid, signal.SIGKILL)


def states(sweeping):
    return [progress.state for progress in read_progress(sweeping.grid, sweeping.out)]


def test_every_run_is_carried_out_once_with_its_config_beside_its_result(sweeping):
    sweeping.write({STEPS: [1, 2], "attack.kwargs.eps": [0.1, 0.2]}, options=["--skip-benign"])
    assert run_sweep(sweeping.grid, sweeping.out) == []
    names = ["1-0.1", "1-0.2", "2-0.1", "2-0.2"]
    assert sweeping.events() == names
    assert (sweeping.out / "grid.json").read_bytes() == sweeping.grid.read_bytes()
    folder = sweeping.out / "2-0.1"
    config = json.loads((folder / "config.json").read_text())
    assert (config["attack"]["kwargs"]["max_iter"], config["attack"]["kwargs"]["eps"]) == (2, 0.1)
    assert json.loads((folder / "result.json").read_text())["config"] == config
    assert "working on 2-0.1 with" in (folder / "log.txt").read_text()
    assert (folder / "saved_samples" / "video.mp4").read_bytes() == b"video"
    assert list((sweeping.folder / "armory" / "outputs").iterdir()) == []

    record = sweeping.record("2-0.1")
    assert record["values"] == {STEPS: 2, "attack.kwargs.eps": 0.1}
    assert record["state"] == "finished" and record["seconds"] > 0
    assert record["versions"]["torch"] and len(record["weights"]["siamrpn_alex_mtl.safetensors"]) == 64
    assert record["command"].startswith("armory run ") and record["command"].endswith(" --no-docker --skip-benign")

    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert sweeping.events() == names


def test_patches_are_exported_into_the_folder_of_the_run(sweeping):
    sweeping.write({STEPS: [1, 2]}, set={"attack.kwargs.export": "patches"})
    assert run_sweep(sweeping.grid, sweeping.out) == []
    for name in ("1", "2"):
        config = json.loads((sweeping.out / name / "config.json").read_text())
        assert config["attack"]["kwargs"]["export"] == str(sweeping.out.absolute() / name / "patches")
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert sweeping.events() == ["1", "2"], "a run's hash must not depend on where its folder is"


def test_a_run_that_is_repeated_replaces_the_patches_that_it_exported(sweeping):
    sweeping.write({STEPS: [1]}, set={"attack.kwargs.export": "patches"})
    run_sweep(sweeping.grid, sweeping.out)
    folder = sweeping.out / "1" / "patches"
    folder.mkdir()
    for name in ("patch_000.npy", "patch_000.png", "patch_1000.json", "notes.txt"):
        (folder / name).write_text("")
    (sweeping.out / "1" / "run.json").unlink()
    run_sweep(sweeping.grid, sweeping.out)
    assert sweeping.events() == ["1", "1"]
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_patches_outside_of_the_folder_of_a_run_stay(sweeping):
    outside = sweeping.folder / "mine"
    outside.mkdir()
    (outside / "patch_000.npy").write_text("")
    sweeping.write({STEPS: [1]}, set={"attack.kwargs.export": str(outside)})
    run_sweep(sweeping.grid, sweeping.out)
    assert [path.name for path in outside.iterdir()] == ["patch_000.npy"]


def test_what_changed_is_run_again_and_nothing_else(sweeping, monkeypatch):
    sweeping.write({STEPS: [1, 2]})
    run_sweep(sweeping.grid, sweeping.out)
    sweeping.write({STEPS: [1, 2, 3]})
    (sweeping.out / "2" / "result.json").unlink()
    assert states(sweeping) == ["finished", "outdated", "to run"]
    run_sweep(sweeping.grid, sweeping.out)
    assert sweeping.events() == ["1", "2", "2", "3"]

    (sweeping.out / "1" / "run.json").write_text("{half")
    weights = sweeping.models / "siamrpn_alex_mtl.safetensors"
    assert states(sweeping) == ["to run", "finished", "finished"]
    weights.unlink()
    assert states(sweeping) == ["to run", "finished", "finished"]
    weights.write_bytes(b"other weights")
    assert states(sweeping) == ["to run", "outdated", "outdated"]
    weights.unlink()
    monkeypatch.setattr(planned, "versions", lambda: {"torch": "3"})
    assert states(sweeping) == ["to run", "outdated", "outdated"]


def test_weights_of_a_defense_are_among_those_that_a_run_depends_on(sweeping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"some weights")
    packaged = "dualossdef_small.safetensors"
    sweeping.base["defense"] = build_config("walkers", "mtl", "patch", "dualossdef")["defense"]
    sweeping.write({"defense.kwargs.weights_file": [packaged, mine.name]})
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert states(sweeping) == ["finished", "finished"]
    assert len(sweeping.record("mine.safetensors")["weights"][mine.name]) == 64
    (sweeping.models / packaged).unlink()  # a link: to write through it would change the packaged file
    (sweeping.models / packaged).write_bytes(b"other weights")
    assert states(sweeping) == ["outdated", "finished"]
    mine.write_bytes(b"yet others")
    assert states(sweeping) == ["outdated", "outdated"]


def test_the_code_and_the_files_of_an_external_tracker_are_among_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = build_config("walkers", "mtl", "iou")
    kwargs = {"factory": "my.tracker:make", "kwargs": {"net": "net.onnx", "mode": "fast", "size": 3}}
    config["model"].update(name="external", model_kwargs=kwargs, weights_file=None)
    run = planned.Run("x", {}, {}, config)
    assert planned.hash_weights(run) == {}
    (tmp_path / "my").mkdir()
    for name in ("my/tracker.py", "net.onnx"):
        (tmp_path / name).write_text(name)
    first = planned.hash_weights(run)
    assert sorted(first) == ["my/tracker.py", "net.onnx"]
    os.utime(tmp_path / "net.onnx", ns=(0, 0))
    (tmp_path / "my" / "tracker.py").write_text("another")
    second = planned.hash_weights(run)
    assert first["net.onnx"] == second["net.onnx"] and first["my/tracker.py"] != second["my/tracker.py"]


def test_a_failed_run_keeps_the_end_of_its_log_and_does_not_stop_others(sweeping):
    sweeping.write({STEPS: [13, 2]})
    ((run, error),) = run_sweep(sweeping.grid, sweeping.out)
    assert (run.name, error) == ("13", "ValueError: 13 is no number of steps")
    record = sweeping.record("13")
    assert record["state"] == "failed" and record["log_end"][-1] == "run did not finish"
    assert not (sweeping.out / "13" / "result.json").exists()
    assert states(sweeping) == ["failed", "finished"]
    assert len(run_sweep(sweeping.grid, sweeping.out)) == 1
    assert sweeping.events() == ["13", "2", "13"]


def test_missing_weights_fail_before_armory_starts(sweeping):
    sweeping.write({"model.weights_file": ["siamrpn_alex_mtl.safetensors", "mine.safetensors"]})
    ((run, error),) = run_sweep(sweeping.grid, sweeping.out)
    assert run.name == "mine.safetensors" and sweeping.events() == ["siamrpn_alex_mtl.safetensors"]
    assert str(sweeping.models / "mine.safetensors") in error and sweeping.record(run.name)["error"] == error


def test_all_runs_of_the_grid_are_written_down_before_the_first_starts(sweeping):
    def plan():
        written = json.loads((sweeping.out / "runs.json").read_text())
        assert written["grid"] == json.loads(sweeping.grid.read_text())
        assert [set(run) for run in written["runs"]] == [{"name", "labels", "values", "config", "options"}] * len(
            written["runs"]
        )
        return written["runs"]

    sweeping.write({STEPS: [1, 2]}, seconds=60, options=["--skip-benign"])
    stopped = sweeping.start(**QUIET)
    sweeping.wait_for(1)
    stopped.kill()
    stopped.wait()
    first, second = plan()
    assert (first["name"], second["labels"], second["values"]) == ("1", {STEPS: 2}, {STEPS: 2})
    assert second["config"]["attack"]["kwargs"]["max_iter"] == 2 and second["options"] == ["--skip-benign"]
    sweeping.wait_until(lambda: not sweeping.runs_left())
    sweeping.write({STEPS: [3]})
    run_sweep(sweeping.grid, sweeping.out)
    assert [run["name"] for run in plan()] == ["3"]


def test_jobs_run_side_by_side(sweeping):
    sweeping.write({STEPS: [1, 2, 3]}, seconds=1.0)
    run_sweep(sweeping.grid, sweeping.out, jobs=2)
    times = sweeping.times()
    assert times["start", "2"] < times["end", "1"]
    assert times["start", "3"] > min(times["end", "1"], times["end", "2"])


def test_a_run_that_another_sweep_holds_is_left_alone_and_waited_for(sweeping):
    sweeping.write({STEPS: [1, 2]})
    runs = read_grid(sweeping.grid)
    events = run_local(runs, sweeping.out, 1)
    with locked(sweeping.out / "1") as lock:
        assert lock is not None
        ended = [next(event for event in events if event is not None)]
        assert sweeping.events() == ["2"] and not (sweeping.out / "1" / "config.json").exists()
    ended += [event for event in events if event is not None]
    assert ended == [(runs[1], None), (runs[0], None)]
    assert [event for event in run_local(runs, sweeping.out, 1) if event is not None] == [(run, None) for run in runs]
    assert sweeping.events() == ["2", "1"]


def test_two_sweeps_on_one_folder_share_the_runs(sweeping):
    sweeping.write({STEPS: [1, 2, 3, 4, 5]}, seconds=0.5)
    both = [sweeping.start(**QUIET) for _ in range(2)]
    assert [each.wait(timeout=240) for each in both] == [0, 0]
    assert sorted(sweeping.events()) == ["1", "2", "3", "4", "5"]
    assert states(sweeping) == ["finished"] * 5


def test_a_killed_sweep_resumes_and_gives_the_same_table(sweeping):
    sweeping.write({STEPS: [1, 2, 3, 4]}, seconds=0.4)
    for records in (0, 1):
        before = len(sweeping.events())
        killed = sweeping.start("--jobs", "2", **QUIET)
        sweeping.wait_for(before + 2)
        sweeping.wait_until(lambda: len(list(sweeping.out.glob("*/run.json"))) >= records)  # noqa: B023
        killed.kill()
        killed.wait()
        sweeping.wait_until(lambda: not sweeping.runs_left())
    finished = {path.parent.name: path.stat().st_mtime_ns for path in sweeping.out.glob("*/run.json")}
    assert 0 < len(finished) < 4
    assert sweeping.start("--jobs", "2", **QUIET).wait(timeout=240) == 0
    assert states(sweeping) == ["finished"] * 4
    assert all((sweeping.out / name / "run.json").stat().st_mtime_ns == when for name, when in finished.items())
    found = [json.loads((sweeping.out / str(n) / "result.json").read_text())["results"] for n in (1, 2, 3, 4)]
    assert [result["adversarial_mean_x"] for result in found] == [[0.01], [0.02], [0.03], [0.04]]
    assert list((sweeping.folder / "armory" / "outputs").iterdir()) == []


def test_ctrl_c_ends_all_within_two_seconds_and_leaves_nothing_half_done(sweeping):
    sweeping.write({STEPS: [1, 2, 3]}, seconds=60)
    stopped = sweeping.start("--jobs", "2", preexec_fn=hear_ctrl_c, **QUIET)
    sweeping.wait_for(2)
    began = time.monotonic()
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(timeout=30) != 0
    assert time.monotonic() - began < 2
    assert sweeping.runs_left() == []
    assert not list(sweeping.out.glob("*/run.json")) and not list(sweeping.out.glob("*/result.json"))
    assert [list((sweeping.folder / "armory" / name).iterdir()) for name in ("outputs", "tmp")] == [[], []]


def test_dry_run_counts_and_estimates(sweeping, capsys):
    sweeping.write({STEPS: [1, 2, 13, 4]})
    assert format_progress(read_progress(sweeping.grid, sweeping.out), 1).splitlines()[-2:] == [
        "4 runs: 0 finished, 4 to run",
        "the time left is unknown until a run has finished",
    ]
    assert not sweeping.out.exists()
    run_sweep(sweeping.grid, sweeping.out)
    sweeping.write({STEPS: [1, 2, 13, 4, 5, 6, 7]})
    for name, seconds in (("1", 400), ("2", 800), ("4", 600)):
        record = sweeping.record(name) | {"seconds": seconds}
        (sweeping.out / name / "run.json").write_text(json.dumps(record))
    lines = format_progress(read_progress(sweeping.grid, sweeping.out), 2).splitlines()
    assert lines[0] == "finished  1  7 min" and lines[2] == "failed    13"
    assert lines[-2:] == ["7 runs: 3 finished, 1 failed, 4 to run", "about 20 min left, 2 at a time"]
    assert len(sweeping.events()) == 4


def test_command(sweeping):
    sweeping.write({STEPS: [1, 13]})
    done = sweeping.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = done.communicate(timeout=240)
    assert (done.returncode, out) == (1, f"results {sweeping.out}\n")
    assert err == f"failed: 13: ValueError: 13 is no number of steps  log {sweeping.out / '13' / 'log.txt'}\n"
    dry = sweeping.start("--dry-run", stdout=subprocess.PIPE, text=True)
    assert "2 runs: 1 finished, 1 failed, 1 to run" in dry.communicate(timeout=240)[0]


def test_a_lost_ray_worker_loses_no_run(sweeping):
    pytest.importorskip("ray")
    sweeping.write({STEPS: [1, 2, 3]}, seconds=2.0)
    on_ray = sweeping.start("--engine", "ray", "--jobs", "2", **QUIET)
    sweeping.wait_for(1)
    name = f"ray::{sweeping.events()[0]}"
    workers = [pid for pid in sweeping.runs_left() if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    os.kill(workers[0], signal.SIGKILL)
    assert on_ray.wait(timeout=240) == 0
    assert states(sweeping) == ["finished"] * 3
    assert sorted(sweeping.events("end")) == ["1", "2", "3"] and len(sweeping.events()) == 4


def test_a_result_that_was_changed_or_exchanged_is_not_this_runs(sweeping):
    sweeping.write({STEPS: [1, 2]})
    run_sweep(sweeping.grid, sweeping.out)
    (sweeping.out / "1/result.json").write_bytes((sweeping.out / "2/result.json").read_bytes() + b" ")
    assert states(sweeping) == ["outdated", "finished"]
    run_sweep(sweeping.grid, sweeping.out)
    assert states(sweeping) == ["finished", "finished"]
    assert sweeping.events() == ["1", "2", "1"]
