"""Sweeps whose cells take no time: what is run, what is kept, and what is left of those that are stopped."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from signals import hear_ctrl_c
from sweeping import Sweeping

from armory_skelevision.results.sweep import cell as cells
from armory_skelevision.results.sweep.grid import read_grid
from armory_skelevision.results.sweep.process import BUSY, DONE, run_cell
from armory_skelevision.results.sweep.running import describe, run_sweep, survey

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
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sorted(sweeping.events()) == ["1", "2", "3", "4", "5"]
    assert states(sweeping) == ["finished"] * 5


def test_a_killed_sweep_goes_on_and_gives_the_same_table(sweeping):
    sweeping.write({STEPS: [1, 2, 3, 4]}, seconds=0.4)
    finished: dict[str, int] = {}
    for delay in (0.2, 0.7):
        before = len(sweeping.events())
        process = sweeping.start("--jobs", "2", **QUIET)
        sweeping.wait_for(before + 2)
        time.sleep(delay)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 2
        while sweeping.runs_left():
            assert time.monotonic() < deadline, "the killed sweep's runs go on"
            time.sleep(0.05)
        finished |= {path.parent.name: path.stat().st_mtime_ns for path in sweeping.out.glob("*/cell.json")}
    assert 0 < len(finished) < 4
    assert sweeping.start("--jobs", "2", **QUIET).wait(timeout=60) == 0
    assert states(sweeping) == ["finished"] * 4
    assert all((sweeping.out / name / "cell.json").stat().st_mtime_ns == when for name, when in finished.items())
    found = [json.loads((sweeping.out / str(n) / "result.json").read_text())["results"] for n in (1, 2, 3, 4)]
    assert [result["adversarial_mean_x"] for result in found] == [[0.01], [0.02], [0.03], [0.04]]


def test_ctrl_c_ends_all_within_two_seconds_and_leaves_nothing_half_done(sweeping):
    sweeping.write({STEPS: [1, 2, 3]}, seconds=60)
    process = sweeping.start("--jobs", "2", preexec_fn=hear_ctrl_c, **QUIET)
    sweeping.wait_for(2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    assert time.monotonic() - began < 2
    assert sweeping.runs_left() == []
    assert not list(sweeping.out.glob("*/cell.json")) and not list(sweeping.out.glob("*/result.json"))
    assert [list((sweeping.folder / "armory" / name).iterdir()) for name in ("outputs", "tmp")] == [[], []]


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
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (1, f"results {sweeping.out}\n")
    assert err == f"failed: 13: ValueError: 13 is no number of steps  log {sweeping.out / '13' / 'log.txt'}\n"
    dry = sweeping.start("--dry-run", stdout=subprocess.PIPE, text=True)
    assert "2 cells: 1 finished, 1 failed, 1 to run" in dry.communicate(timeout=60)[0]


def test_a_lost_ray_worker_loses_no_cell(sweeping):
    pytest.importorskip("ray")
    sweeping.write({STEPS: [1, 2, 3]}, seconds=2.0)
    process = sweeping.start("--engine", "ray", "--jobs", "2", **QUIET)
    sweeping.wait_for(1)
    name = f"ray::{sweeping.events()[0]}"
    workers = [pid for pid in sweeping.runs_left() if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    os.kill(workers[0], signal.SIGKILL)
    assert process.wait(timeout=90) == 0
    assert states(sweeping) == ["finished"] * 3
    assert sorted(sweeping.events("end")) == ["1", "2", "3"] and len(sweeping.events()) == 4
