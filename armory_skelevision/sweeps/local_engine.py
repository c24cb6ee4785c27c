"""Runs on this machine, some at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from armory_skelevision.sweeps.execute import Ended, execute
from armory_skelevision.sweeps.run import Run

_PAUSE = 0.1


def run_local(runs: Sequence[Run], out: Path, jobs: int) -> Generator[Ended | None]:
    """Carry out runs and yield each as it ends; None in between, every now and then. Closing it ends those that run.

    Each job gets its share of the cores, unless the environment sets them.

    Args:
        runs: In the order in which they are started. Those that another sweep holds are waited for.
        out: The sweep's folder.
        jobs: How many at a time.
    """
    environment, stop = share_cores(jobs), Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            pending = {pool.submit(execute, run, out, environment, stop): run for run in runs}
            while pending:
                wait(pending, _PAUSE, FIRST_COMPLETED)
                for future in [each for each in pending if each.done()]:
                    run = pending.pop(future)
                    try:
                        yield Ended(run, future.result())
                    except BlockingIOError:
                        pending[pool.submit(execute, run, out, environment, stop)] = run
                        time.sleep(_PAUSE)
                yield None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            stop.set()


def share_cores(jobs: int) -> dict[str, str]:
    """Variables that give each of several jobs its share of this machine's cores."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    if jobs == 1 or any(name in os.environ for name in names):
        return {}
    share = max(1, len(os.sched_getaffinity(0)) // jobs)
    return dict.fromkeys(names, str(share))
