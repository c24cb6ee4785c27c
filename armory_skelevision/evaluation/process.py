"""A command in a process group of its own, with limits of time and memory, that never outlives its caller."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_GUARD = Path(__file__).with_name("guard.py")
_PAUSE_SECONDS = 0.1
_GIGABYTE = 1024**3


class Limits(NamedTuple):
    """What a command may take."""

    minutes: float = math.inf
    memory_gb: float = math.inf
    """For the data of each of its processes, in GiB; memory of a GPU does not count."""


class StoppedError(Exception):
    """A command was ended because its caller asked for it."""


def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    keep_open: Sequence[int] = (),
    stop: threading.Event | None = None,
) -> int:
    """Run a command and wait for it. Everything that it started is killed before this returns or raises.

    It is also killed if this process is: between the two stands `guard`. The command has no standard input, and is not
    in the terminal's process group: Ctrl-C reaches the caller alone.

    Args:
        command: Program and arguments.
        environment: All its variables.
        log: File to which its output is appended; None for where the output of this process goes.
        folder: Its working directory; None for that of this process.
        limits: When it is ended; None for no limits.
        keep_open: File descriptors that stay open until it has ended.
        stop: Ends it when set, by whatever thread.

    Returns:
        Its exit code; 128 and more stand for a signal, as in a shell.

    Raises:
        StoppedError: If ``stop`` was set.
        TimeoutError: If it took too long.
    """
    minutes, memory_gb = limits or Limits()
    max_bytes = 0 if math.isinf(memory_gb) else int(memory_gb * _GIGABYTE)
    deadline = time.monotonic() + 60 * minutes
    with contextlib.ExitStack() as files:
        output = files.enter_context(log.open("ab")) if log is not None else None
        process = subprocess.Popen(
            [sys.executable, "-P", os.fspath(_GUARD), str(max_bytes), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True,
            pass_fds=keep_open,
        )
        files.callback(_end, process)
        while process.poll() is None:
            if stop is not None and stop.is_set():
                raise StoppedError
            if time.monotonic() > deadline:
                raise TimeoutError(f"out of time: {minutes:g} minutes")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PAUSE_SECONDS)
        return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process group, as far as it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
