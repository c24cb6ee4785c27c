"""Sweeps whose cells take no time: what is run, what is kept, and what is left of those that are stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from signals import hear_ctrl_c
from sweeping import Sweeping

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.sweeps import process
from armory_skelevision.sweeps import run as cells
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.process import BUSY, DONE, run_cell
from armory_skelevision.sweeps.sweep import describe, run_sweep, survey

STEPS = "attack.kwargs.max_iter"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@pytest.fixture
def sweeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Sweeping(tmp_path / "a sweep", monkeypatch)
    yield made
    for pid in made.runs_left():
        os.kill(pid, signal.SIGKILL)


def states(sweeping):
    return [state.state for state in survey(sweeping.grid, sweeping.out)]


def test_every_cell_is_run_once_with_its_config_beside_its_result(sweeping):
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


def test_patches_are_exported_into_the_cell_s_folder(sweeping):
    sweeping.write({STEPS: [1, 2]}, set={"attack.kwargs.export": "patches"})
    assert run_sweep(sweeping.grid, sweeping.out) == []
    for cell in ("1", "2"):
        config = json.loads((sweeping.out / cell / "config.json").read_text())
        assert config["attack"]["kwargs"]["export"] == str(sweeping.out.absolute() / cell / "patches")
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert sweeping.events() == ["1", "2"], "a cell's hash must not depend on where it lies"


def test_what_changed_is_run_again_and_nothing_else(sweeping, monkeypatch):
    sweeping.write({STEPS: [1, 2]})
    run_sweep(sweeping.grid, sweeping.out)
    sweeping.write({STEPS: [1, 2, 3]})
    (sweeping.out / "2" / "result.json").unlink()
    assert states(sweeping) == ["finished", "outdated", "to run"]
    run_sweep(sweeping.grid, sweeping.out)
    assert sweeping.events() == ["1", "2", "2", "3"]

    (sweeping.out / "1" / "cell.json").write_text("{half")
    weights = sweeping.models / "siamrpn_alex_mtl.safetensors"
    assert states(sweeping) == ["to run", "finished", "finished"]
    weights.unlink()
    assert states(sweeping) == ["to run", "finished", "finished"]
    weights.write_bytes(b"other weights")
    assert states(sweeping) == ["to run", "outdated", "outdated"]
    weights.unlink()
    monkeypatch.setattr(cells, "versions", lambda: {"torch": "3"})
    assert states(sweeping) == ["to run", "outdated", "outdated"]


def test_weights_of_a_defense_are_among_those_that_a_cell_depends_on(sweeping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"some weights")
    packaged = "dualossdef_small.safetensors"
    sweeping.base["defense"] = build_config("walkers", "mtl", "patch", "dualossdef")["defense"]
    sweeping.write({"defense.kwargs.weights_file": [packaged, mine.name]})
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert states(sweeping) == ["finished", "finished"]
    assert len(sweeping.record("mine.safetensors")["weights"][str(mine)]) == 64
    (sweeping.models / packaged).unlink()  # a link: to write through it would change the packaged file
    (sweeping.models / packaged).write_bytes(b"other weights")
    assert states(sweeping) == ["outdated", "finished"]
    mine.write_bytes(b"yet others")
    assert states(sweeping) == ["outdated", "outdated"]


def test_a_failed_cell_keeps_the_end_of_its_log_and_stops_nobody(sweeping):
    sweeping.write({STEPS: [13, 2]})
    ((cell, error),) = run_sweep(sweeping.grid, sweeping.out)
    assert (cell.name, error) == ("13", "ValueError: 13 is no number of steps")
    record = sweeping.record("13")
    assert record["state"] == "failed" and record["log_end"][-1] == "run did not finish"
    assert not (sweeping.out / "13" / "result.json").exists()
    assert states(sweeping) == ["failed", "finished"]
    assert len(run_sweep(sweeping.grid, sweeping.out)) == 1
    assert sweeping.events() == ["13", "2", "13"]


def test_missing_weights_are_said_plainly(sweeping):
    sweeping.write({"model.weights_file": ["siamrpn_alex_mtl.safetensors", "mine.safetensors"]})
    ((cell, error),) = run_sweep(sweeping.grid, sweeping.out)
    assert cell.name == "mine.safetensors" and sweeping.events() == ["siamrpn_alex_mtl.safetensors"]
    assert error.startswith(f"no weights mine.safetensors: {sweeping.models / 'mine.safetensors'} is not there; train")


def test_jobs_run_side_by_side(sweeping):
    sweeping.write({STEPS: [1, 2, 3]}, seconds=1.0)
    run_sweep(sweeping.grid, sweeping.out, jobs=2)
    times = sweeping.times()
    assert times["start", "2"] < times["end", "1"]
    assert times["start", "3"] > min(times["end", "1"], times["end", "2"])


def test_a_held_cell_is_left_alone(sweeping):
    sweeping.write({STEPS: [1]})
    (cell,) = read_grid(sweeping.grid)
    folder = sweeping.out / cell.name
    folder.mkdir(parents=True)
    with cells.locked(folder) as lock:
        assert lock is not None
        assert run_cell(cell, folder) == BUSY
        assert not (folder / "config.json").exists()
    with cells.locked(folder) as lock:
        assert lock is not None
    run_sweep(sweeping.grid, sweeping.out)
    assert run_cell(cell, folder) == DONE
    assert sweeping.events() == ["1"]


def test_two_sweeps_on_one_folder_share_the_cells(sweeping):
    sweeping.write({STEPS: [1, 2, 3, 4, 5]}, seconds=0.5)
    both = [sweeping.start(**QUIET) for _ in range(2)]
    assert [each.wait(timeout=240) for each in both] == [0, 0]
    assert sorted(sweeping.events()) == ["1", "2", "3", "4", "5"]
    assert states(sweeping) == ["finished"] * 5


def test_a_killed_sweep_goes_on_and_gives_the_same_table(sweeping):
    sweeping.write({STEPS: [1, 2, 3, 4]}, seconds=0.4)
    for records in (0, 1):
        before = len(sweeping.events())
        killed = sweeping.start("--jobs", "2", **QUIET)
        sweeping.wait_for(before + 2)
        sweeping.wait_until(lambda: len(list(sweeping.out.glob("*/cell.json"))) >= records)  # noqa: B023
        killed.kill()
        killed.wait()
        sweeping.wait_until(lambda: not sweeping.runs_left())
    finished = {path.parent.name: path.stat().st_mtime_ns for path in sweeping.out.glob("*/cell.json")}
    assert 0 < len(finished) < 4
    assert sweeping.start("--jobs", "2", **QUIET).wait(timeout=240) == 0
    assert states(sweeping) == ["finished"] * 4
    assert all((sweeping.out / name / "cell.json").stat().st_mtime_ns == when for name, when in finished.items())
    found = [json.loads((sweeping.out / str(n) / "result.json").read_text())["results"] for n in (1, 2, 3, 4)]
    assert [result["adversarial_mean_x"] for result in found] == [[0.01], [0.02], [0.03], [0.04]]


def test_ctrl_c_ends_all_within_two_seconds_and_leaves_nothing_half_done(sweeping):
    sweeping.write({STEPS: [1, 2, 3]}, seconds=60)
    stopped = sweeping.start("--jobs", "2", preexec_fn=hear_ctrl_c, **QUIET)
    sweeping.wait_for(2)
    began = time.monotonic()
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(timeout=30) != 0
    assert time.monotonic() - began < 2
    assert sweeping.runs_left() == []
    assert not list(sweeping.out.glob("*/cell.json")) and not list(sweeping.out.glob("*/result.json"))
    assert [list((sweeping.folder / "armory" / name).iterdir()) for name in ("outputs", "tmp")] == [[], []]


def test_who_does_not_end_in_time_is_killed_with_all_below(monkeypatch):
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0.2)
    below = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    deaf = subprocess.Popen([sys.executable, "-c", below], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert deaf.stdout is not None
    child = int(deaf.stdout.readline())
    process.stop(deaf)
    deaf.stdout.close()
    assert deaf.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_dry_run_counts_and_estimates(sweeping, capsys):
    sweeping.write({STEPS: [1, 2, 13, 4]})
    assert describe(survey(sweeping.grid, sweeping.out), 1).splitlines()[-2:] == [
        "4 cells: 0 finished, 4 to run",
        "no cell is finished yet that the time left could be estimated from",
    ]
    assert not sweeping.out.exists()
    run_sweep(sweeping.grid, sweeping.out)
    sweeping.write({STEPS: [1, 2, 13, 4, 5, 6, 7]})
    for name, seconds in (("1", 400), ("2", 800), ("4", 600)):
        record = sweeping.record(name) | {"seconds": seconds}
        (sweeping.out / name / "cell.json").write_text(json.dumps(record))
    lines = describe(survey(sweeping.grid, sweeping.out), 2).splitlines()
    assert lines[0] == "finished  1  7 min" and lines[2] == "failed    13"
    assert lines[-2:] == ["7 cells: 3 finished, 1 failed, 4 to run", "some 20 min left, 2 at a time"]
    assert len(sweeping.events()) == 4


def test_command(sweeping):
    sweeping.write({STEPS: [1, 13]})
    done = sweeping.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = done.communicate(timeout=240)
    assert (done.returncode, out) == (1, f"results {sweeping.out}\n")
    assert err == f"failed: 13: ValueError: 13 is no number of steps  log {sweeping.out / '13' / 'log.txt'}\n"
    dry = sweeping.start("--dry-run", stdout=subprocess.PIPE, text=True)
    assert "2 cells: 1 finished, 1 failed, 1 to run" in dry.communicate(timeout=240)[0]


def test_a_lost_ray_worker_loses_no_cell(sweeping):
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
