"""Cells on this machine, some at a time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from armory_skelevision.sweeps.process import BUSY, Ended, start, stop
from armory_skelevision.sweeps.run import Cell, locked

_PAUSE = 0.1


def run_local(cells: Sequence[Cell], out: Path, jobs: int) -> Generator[Ended | None]:
    """Run cells, and name each as it ends; None in between, every now and then.

    Each job gets its share of the cores, unless the environment says otherwise.

    Args:
        cells: In the order in which they are begun. Those that another sweep runs are waited for.
        out: The sweep's folder.
        jobs: How many at a time.
    """
    waiting = list(cells)
    running: dict[subprocess.Popen[bytes], Cell] = {}
    try:
        while waiting or running:
            while len(running) < jobs and (cell := _next_free(waiting, out)) is not None:
                waiting.remove(cell)
                running[start(cell, out, share_cores(jobs))] = cell
            time.sleep(_PAUSE)
            ended = [process for process in running if process.poll() is not None]
            for process in ended:
                cell = running.pop(process)
                stop(process)  # nothing runs, but its pipe is open
                if process.returncode == BUSY:
                    waiting.append(cell)
                else:
                    yield Ended(cell, process.returncode)
            yield None
    finally:
        stop(*running)


def share_cores(jobs: int) -> dict[str, str]:
    """Variables that give each of several jobs its share of this machine's cores."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    if jobs == 1 or any(name in os.environ for name in names):
        return {}
    share = max(1, len(os.sched_getaffinity(0)) // jobs)
    return dict.fromkeys(names, str(share))


def _next_free(waiting: Sequence[Cell], out: Path) -> Cell | None:
    """The first cell that nobody else is running."""
    for cell in waiting:
        folder = out / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder) as lock:
            if lock is not None:
                return cell
    return None
