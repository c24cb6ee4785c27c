"""Trainings that are killed at some moments and resumed, compared with one that never was.

    python tests/killed_runs.py [--moments 20] [--training multitask|fsba|tiny] [--seed 0]

A moment is a processor time of the run, so that it does not depend on what else the machine does, or what the run is
about to do: "step:3", "validation:2", "writing:2" (half of a file is written), "renaming:2" (a checkpoint),
"export:1".
Every second run is moved before it is resumed, every third is killed twice. Each training is a fork of this process,
which itself only imports.
"""

import argparse
import dataclasses
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import cv2
from tiny_training import TinyTraining, tiny_settings

from armory_skelevision.training import checkpoints, fitting
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.backdoor.training import BackdoorTraining
from armory_skelevision.training.fitting import train
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.weights.packaged import packaged_weights

OUTPUTS = ("weights.safetensors", "card.md", "curves.csv", "curves.svg")
TRAININGS = {
    "tiny": (TinyTraining, MultitaskSettings, {}),
    "multitask": (
        MultitaskTraining,
        MultitaskSettings,
        {"keypoint_head": "shallow", "lambda_k": 0.2, "learning_rate": 8e-4},
    ),
    "fsba": (
        BackdoorTraining,
        BackdoorSettings,
        {"learning_rate": 2e-4, "init": str(packaged_weights("siamrpn_alex_stl.safetensors"))},
    ),
}


def kill_at(moment: str) -> None:
    """Let this process kill itself when it is about to do something for a certain time."""
    what, _, number = moment.partition(":")
    places = {
        "step": (fitting.TrainingBody, "training_step"),
        "validation": (checkpoints.Checkpoints, "on_validation_end"),
        "writing": (Path, "write_bytes"),
        "renaming": (os, "replace"),
        "export": (fitting, "write_model_card"),
    }
    owner, name = places[what]
    original, calls = getattr(owner, name), [0]

    def count(*args, **kwargs):
        calls[0] += what != "renaming" or "resume-step" in str(args[1])
        if calls[0] == int(number):
            if what == "writing":
                original(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, count)


def run_forked(kind, settings, moment: str | float | None = None) -> int:
    """Train in a fork, which is killed at a moment; the exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            warnings.filterwarnings("ignore")
            if isinstance(moment, str):
                kill_at(moment)
            train(kind(settings), resume=True)
            code = 0
        finally:
            os._exit(code)
    while isinstance(moment, float) and processor_time(child) < moment:
        time.sleep(0.002)
    if isinstance(moment, float):
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def processor_time(process: int) -> float:
    """Seconds that a process has computed; endless when it has ended."""
    state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return math.inf if state == "Z" else sum(map(int, fields[10:12])) / os.sysconf("SC_CLK_TCK")


def read_outputs(folder: Path) -> dict[str, bytes]:
    """What a finished run has written, as if its folder were called "run"."""
    outputs = {name: (folder / name).read_bytes() for name in OUTPUTS}
    outputs["card.md"] = outputs["card.md"].replace(folder.name.encode(), b"run")
    last = max(checkpoints.find_checkpoints(folder), key=lambda path: int(path.stem.partition("=")[2]))
    content = checkpoints.read_checkpoint(last)["progress"]
    best = {name: tensor.numpy().tobytes() for name, tensor in content["best"].items()}
    return {**outputs, "best": repr((best, content["logged"])).encode()}


def run_killed(kind, settings, moments, folder: Path, moved: bool) -> dict[str, bytes]:
    """The outputs of a run that is killed at moments, perhaps moved, and resumed to its end."""
    settings = dataclasses.replace(settings, folder=str(folder))
    for moment in moments:
        run_forked(kind, settings, moment)
        if moved:
            folder = folder.with_name(folder.name + "-moved")
            if Path(settings.folder).exists():
                shutil.copytree(settings.folder, folder)
                shutil.rmtree(settings.folder)
            settings = dataclasses.replace(settings, folder=str(folder))
    if run_forked(kind, settings):
        raise SystemExit(f"the resumed run failed, killed at {moments}")
    return read_outputs(folder)


def main() -> int:
    """Kill and compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", choices=TRAININGS, default="multitask")
    parser.add_argument("--moments", type=int, default=20, help="how many random times; default %(default)s")
    parser.add_argument("--at", nargs="*", default=[], help="what the run is about to do, besides")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kind, settings_kind, changes = TRAININGS[options.training]
    failed = 0
    cv2.setNumThreads(1)  # its pool of threads does not survive a fork
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        settings = tiny_settings(root, settings_kind, **changes)
        if run_forked(kind, settings):
            raise SystemExit("the run that nothing stopped failed")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = used.ru_utime + used.ru_stime
        whole = read_outputs(root / "run")
        draw = random.Random(options.seed)
        times = [[draw.uniform(0, took) for _ in range(1 + (number % 3 == 0))] for number in range(options.moments)]
        for number, moments in enumerate([*([moment] for moment in options.at), *times]):
            folder, moved = root / f"run{number}", number % 2 == 1
            outputs = run_killed(kind, settings, moments, folder, moved)
            differ = [name for name in whole if outputs[name] != whole[name]]
            failed += bool(differ)
            shown = ", ".join(moment if isinstance(moment, str) else f"{moment:.2f} s" for moment in moments)
            print(f"killed at {shown}{', moved' if moved else ''}: {differ or 'equal'}", flush=True)
            for left in root.glob(f"run{number}*"):
                shutil.rmtree(left)
        print(f"{failed} differ; a run computes for {took:.2f} s")
    return failed


if __name__ == "__main__":
    sys.exit(main())
