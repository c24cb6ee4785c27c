"""One evaluation in a process of its own: with its own home, so much time, so much memory, and nothing left running."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import site
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.results.result_file import read_run

_FOLDERS = ("local_git_dir", "output_dir", "saved_model_dir", "tmp_dir")
_GIGABYTE = 1024**3
_NO_MEMORY = ("MemoryError", "bad_alloc", "can't allocate memory", "Cannot allocate memory")

COMMAND = ("-m", "armory.scenarios.main")
"""What ARMORY starts in its containers; `armory run` would put a shell in between."""


class Limits(NamedTuple):
    """What one evaluation may take."""

    minutes: float
    memory_gb: float
    """Of the process's own data; what is on a GPU does not count."""


class Scores(NamedTuple):
    """IoU of each video, in [0, 1], in the data set's order."""

    benign: list[float]
    adversarial: list[float]


def run_evaluation(
    config: Mapping[str, Any], weights: Mapping[str, Path], home: Path, limits: Limits, videos: int | None = None
) -> Scores:
    """Run ARMORY's scenario as ARMORY itself does in a container, and read the scores.

    The process finds its files in ``home``, and of the caller's folders only ARMORY's data sets. Its output is in
    ``home/log``.

    Args:
        config: ARMORY's config.
        weights: Weights by the names in the config.
        home: An empty folder.
        limits: When the process and all that it started are ended.
        videos: How many to evaluate; None for all.

    Raises:
        RuntimeError: If the evaluation fails or reaches a limit; says which, or the last that was heard of it.
    """
    outputs = _furnish(home, config, weights)
    command = [sys.executable, *COMMAND, "config.json", "--no-docker"]
    if videos is not None:
        command += ["--num-eval-batches", str(videos)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=_environment(home, config), stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            # set from here, since code between fork and exec may not be safe where this process has threads
            size = int(limits.memory_gb * _GIGABYTE)
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (size, size))
            code = process.wait(timeout=60 * limits.minutes)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"out of time: {limits.minutes:g} minutes") from None
        finally:
            _end(process)
    results = sorted(outputs.glob("*.json"))
    if code != 0 or len(results) != 1:
        raise RuntimeError(_explain(home / "log", code, limits))
    run = read_run(results[0])
    return Scores(list(run.benign.video_ious), list(run.adversarial.video_ious))


def _furnish(home: Path, config: Mapping[str, Any], weights: Mapping[str, Path]) -> Path:
    """Put the config and the weights where ARMORY will look; returns the folder of the results."""
    from armory import paths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ARMORY is not configured, which is no fault
        dataset_dir = paths.HostPaths().dataset_dir
    folders = {name: str(home / name) for name in _FOLDERS}
    armory = home / ".armory"
    armory.mkdir()
    settings = {**folders, "dataset_dir": dataset_dir, "verify_ssl": True}
    (armory / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    saved = home / "saved_model_dir"
    saved.mkdir()
    for name, path in weights.items():
        shutil.copyfile(path, saved / name)
    (home / "config.json").write_text(format_config({**config, "eval_id": "run"}), encoding="utf-8")
    return home / "output_dir" / "run"


def _environment(home: Path, config: Mapping[str, Any]) -> dict[str, str]:
    system = config["sysconfig"]
    gpus = system["gpus"] if system["use_gpu"] else "-1"
    changed = {
        "HOME": str(home),
        "PYTHONUSERBASE": site.getuserbase(),  # packages that are installed there stay within reach
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TORCH_HOME": str(home / "torch"),
    }
    if gpus != "all":
        changed["CUDA_VISIBLE_DEVICES"] = gpus
    # what would let it act in the caller's name stays here
    kept = {name: value for name, value in os.environ.items() if "TOKEN" not in name and "SECRET" not in name}
    return {**kept, **changed}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, should it still run, and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _explain(log: Path, code: int, limits: Limits) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if any(sign in line for line in lines for sign in _NO_MEMORY):
        return f"out of memory: {limits.memory_gb:g} GB"
    told = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception", "Interrupt"))]
    last = (told or lines or ["it said nothing"])[-1]
    return f"ARMORY failed with exit code {code}: {last:.300}"
