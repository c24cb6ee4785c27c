"""Runs on this machine, some at a time."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from armory_skelevision.evaluation.process import StoppedError
from armory_skelevision.sweeps.execute import Ended, execute
from armory_skelevision.sweeps.run import Run, locked

_PAUSE = 0.1


def run_local(runs: Sequence[Run], out: Path, jobs: int) -> Generator[Ended | None]:
    """Carry out runs and yield each as it ends; None in between, every now and then. Closing it ends those that run.

    Each job gets its share of the cores, unless the environment sets them.

    Args:
        runs: In the order in which they are started. Those that another sweep holds are waited for.
        out: The sweep's folder.
        jobs: How many at a time.
    """
    waiting = deque(runs)
    ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            workers = [pool.submit(_work, waiting, out, share_cores(jobs), ended, stop) for _ in range(jobs)]
            while not (all(worker.done() for worker in workers) and ended.empty()):
                with contextlib.suppress(queue.Empty):
                    yield ended.get(timeout=_PAUSE)
                for worker in workers:
                    if worker.done():
                        worker.result()  # raises what it raised
                yield None
        finally:
            stop.set()


def share_cores(jobs: int) -> dict[str, str]:
    """Variables that give each of several jobs its share of this machine's cores."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    if jobs == 1 or any(name in os.environ for name in names):
        return {}
    share = max(1, len(os.sched_getaffinity(0)) // jobs)
    return dict.fromkeys(names, str(share))


def _work(
    waiting: deque[Run], out: Path, environment: dict[str, str], ended: queue.SimpleQueue[Ended], stop: threading.Event
) -> None:
    """Carry out waiting runs one after the other until none is left. Several threads share the arguments."""
    while not stop.is_set():
        try:
            run = waiting.popleft()
        except IndexError:
            return
        with locked(out / run.name) as lock:
            if lock is None:
                waiting.append(run)
                stop.wait(_PAUSE)
                continue
            try:
                ended.put(Ended(run, execute(run, out / run.name, lock, environment, stop)))
            except StoppedError:
                return
