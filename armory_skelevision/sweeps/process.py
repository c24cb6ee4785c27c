"""The process that runs one cell, and how an engine starts it.

It stands between an engine and `armory run` for the sake of their ends: the engine keeps a pipe open to it, and as soon
as that closes, because the engine stopped or was killed, whatever ARMORY has started is killed too. It holds the cell's
lock, so that no other sweep on the same folder runs the cell at the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import psutil

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.io import atomic_write
from armory_skelevision.sweeps.run import (
    CONFIG,
    LOG,
    RECORD,
    RESULT,
    Cell,
    find_weights,
    hash_weights,
    is_finished,
    locked,
    versions,
)

DONE, FAILED, BUSY, STOPPED = 0, 1, 75, 130
"""Exit codes: finished, now or earlier; failed; held by another sweep; ended by the engine."""


class Ended(NamedTuple):
    """A cell that an engine is done with."""

    cell: Cell
    code: int | str
    """Its process's exit code, or why there is none."""


_GRACE_SECONDS = 1.5  # seconds for a process to end its run and to clean up
_LOG_LINES = 20
_LINE = 300  # ARMORY repeats a failed command with its whole config, encoded


def start(cell: Cell, out: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a cell; its folder is made below ``out``. Closing the process's standard input ends it.

    Args:
        cell: What to run.
        out: The sweep's folder.
        environment: Variables beside this process's own.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, os.fspath(out / cell.name)],
        stdin=subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,  # Ctrl-C reaches the engine alone, which ends all that it started
    )
    if process.stdin is None:
        raise RuntimeError("a process was started without the pipe that was asked for")
    process.stdin.write(json.dumps(cell._asdict()).encode("utf-8") + b"\n")
    process.stdin.flush()
    return process


def stop(*processes: subprocess.Popen[bytes]) -> None:
    """End cells' processes and all below them, and wait until they are gone."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for each in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def run_cell(cell: Cell, folder: Path) -> int:
    """Run a cell unless its folder has its result already; returns an exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as lock:
        if lock is None:
            return BUSY
        if is_finished(cell, folder):
            return DONE
        for old in (RECORD, RESULT, LOG):
            (folder / old).unlink(missing_ok=True)
        atomic_write(folder / CONFIG, format_config(_export_into(folder, cell.config)).encode("utf-8"))
        began = time.monotonic()
        try:
            _check_weights(cell)
            output = run_config(folder / CONFIG, *cell.options, call=_Watched(lock, folder / LOG)).parent
            _bleach(folder / LOG)
            _take(output, folder)
        except (OSError, RuntimeError) as error:
            _bleach(folder / LOG)
            _write_record(cell, folder, began, {"state": "failed", **_describe(error, folder / LOG)})
            return FAILED
        _write_record(cell, folder, began, {"state": "finished"})
        return DONE


def _export_into(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the attack's relative "export" below the cell's folder, so that no two cells share it."""
    attack = config.get("attack") or {}
    kwargs = attack.get("kwargs") or {}
    if not isinstance(kwargs.get("export"), str):
        return dict(config)
    return {
        **config,
        "attack": {**attack, "kwargs": {**kwargs, "export": os.fspath(folder.absolute() / kwargs["export"])}},
    }


class _Watched:
    """Runs a command with its output in a file, and kills it and all below it once standard input has ended."""

    def __init__(self, lock: int, log: Path) -> None:
        self.lock = lock
        self.log = log

    def __call__(self, command: list[str], environment: Mapping[str, str]) -> int:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                # Should this process be killed itself, the lock is held until the run below it has ended, too.
                pass_fds=[self.lock],
            )
        try:
            while process.poll() is None:
                if select.select([sys.stdin], [], [], 0.1)[0]:
                    raise KeyboardInterrupt
            return process.returncode
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _check_weights(cell: Cell) -> None:
    """Say plainly what ARMORY would only say after asking its store in vain; weights of its own models it can fetch."""
    if not str(cell.config["model"]["module"]).startswith("armory_skelevision"):
        return
    for name, path in find_weights(cell).items():
        if not path.is_file():
            raise FileNotFoundError(f"no weights {name}: {path} is not there; train them or put them there, then go on")


def _take(output: Path, folder: Path) -> None:
    """Bring a run's result, and what else it exported, from ARMORY's folder into the cell's."""
    for part in output.iterdir():
        if part.is_dir():
            shutil.rmtree(folder / part.name, ignore_errors=True)
            shutil.move(part, folder / part.name)
    (result,) = output.glob("*.json")
    atomic_write(folder / RESULT, result.read_bytes())
    shutil.rmtree(output)


def _describe(error: Exception, log: Path) -> dict[str, Any]:
    """What went wrong in one line, and the end of the log."""
    lines = [line[:_LINE] for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    named = [line.strip() for line in lines if re.match(r"\s*(\w+\.)*\w*(Error|Exception|Interrupt)\b", line)]
    return {"error": named[-1] if named else str(error), "log_end": lines[-_LOG_LINES:]}


def _bleach(log: Path) -> None:
    """Take out the colours that ARMORY gives its messages, terminal or not."""
    if log.is_file():
        text = log.read_text(encoding="utf-8", errors="replace")
        atomic_write(log, re.sub(r"\x1b\[[0-9;]*m", "", text).encode("utf-8"))


def _write_record(cell: Cell, folder: Path, began: float, outcome: Mapping[str, Any]) -> None:
    record = {
        "labels": cell.labels,
        "values": cell.values,
        "hash": cell.hash,
        "versions": versions(),
        "weights": hash_weights(cell),
        "seconds": round(time.monotonic() - began, 1),
        "command": shlex.join(["armory", "run", os.fspath(folder / CONFIG), "--no-docker", *cell.options]),
        **outcome,
    }
    atomic_write(folder / RECORD, (json.dumps(record, indent=4, ensure_ascii=False) + "\n").encode("utf-8"))


def main() -> NoReturn:
    """Run the cell that comes as one line of JSON on standard input, in the folder that is the only argument."""
    given = json.loads(sys.stdin.readline())
    cell = Cell(**{**given, "options": tuple(given["options"])})
    try:
        sys.exit(run_cell(cell, Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
