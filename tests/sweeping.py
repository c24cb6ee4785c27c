"""A grid whose runs are carried out by the stand-in of `fake_armory`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

ROOT = Path(__file__).parent.parent
# the stand-in has nothing that checks could import, and its runs are no attacks
COMMAND = [
    sys.executable,
    "-c",
    "from armory_skelevision.sweeps import sweep; sweep.check_runs = lambda runs, elsewhere: []; "
    "from armory_skelevision.cli import app; app()",
    "sweep",
]


class Sweeping:
    """Folders of one test: the grid, its results, and what the stand-in noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        self.out = folder / "out"
        self.grid = folder / "grid.json"
        self.base = build_config("walkers", "mtl", "pgd")
        self.models = folder / "armory" / "models"
        self.models.mkdir(parents=True)
        for path in PACKAGED_WEIGHTS.glob("*.safetensors"):
            (self.models / path.name).symlink_to(path)
        monkeypatch.setenv("FAKE_ARMORY", str(folder / "armory"))
        path = [str(ROOT / "tests" / "fake_armory"), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
        # this process has the real ARMORY, for its schema
        monkeypatch.setattr("armory_skelevision.weights.resolve.saved_model_dir", lambda: self.models)
        folders = {"output_dir": folder / "armory" / "outputs", "tmp_dir": folder / "armory" / "tmp"}
        monkeypatch.setattr("armory_skelevision.evaluation.runner.armory_folder", folders.__getitem__)
        monkeypatch.setattr("armory_skelevision.sweeps.sweep.check_runs", lambda runs, elsewhere: [])

    def write(self, axes, seconds=0.0, **more):
        self.base["attack"]["kwargs"]["eps_step"] = seconds
        (self.folder / "base.json").write_text(format_config(self.base))
        self.grid.write_text(json.dumps({"base": "base.json", "axes": axes, **more}))

    def events(self, kind="start"):
        path = self.folder / "armory" / "events"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [run for event, run, _ in lines if event == kind]

    def times(self):
        lines = [line.split() for line in (self.folder / "armory" / "events").read_text().splitlines()]
        return {(event, run): float(when) for event, run, when in lines}

    def record(self, run):
        return json.loads((self.out / run / "run.json").read_text())

    def start(self, *options, **kwargs):
        """The sweep as a command, in a process of its own."""
        return subprocess.Popen([*COMMAND, self.grid, "--out", self.out, *options], **kwargs)

    def wait_for(self, count):
        """Until so many runs have been started."""
        self.wait_until(lambda: len(self.events()) >= count)

    def wait_until(self, happened, seconds=240.0):
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"in vain for {seconds} s; started: {self.events()}"
            time.sleep(0.02)

    def runs_left(self):
        """Processes of the stand-in that are still there."""
        mark = f"FAKE_ARMORY={self.folder / 'armory'}".encode()
        return [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != os.getpid() and runs(pid, mark)
        ]


def runs(pid, mark):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
