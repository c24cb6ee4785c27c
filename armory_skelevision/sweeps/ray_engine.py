"""Runs as tasks of Ray: on this machine, or on the cluster that `RAY_ADDRESS` names.

Every machine of a cluster needs this package, the weights and the data, and access to the sweep's folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from armory_skelevision.sweeps.execute import Ended, execute
from armory_skelevision.sweeps.local_engine import share_cores
from armory_skelevision.sweeps.run import Run

_RETRIES = 5
_PAUSE = 0.5


def run_on_ray(runs: Sequence[Run], out: Path, jobs: int) -> Generator[Ended | None]:
    """Carry out runs and yield each as it ends; None in between, every now and then.

    A run takes one of Ray's CPUs, and one of its GPUs if its config has `use_gpu`. A run whose worker is lost is
    started anew on another.

    Args:
        runs: In the order in which they are started.
        out: The sweep's folder.
        jobs: How many workers a local cluster gets; one that is there already has its own.

    Raises:
        RuntimeError: If Ray does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    local = "RAY_ADDRESS" not in os.environ
    environment = share_cores(jobs) if local else {}
    where: dict[str, Any] = {"address": "local", "num_cpus": jobs, "include_dashboard": False} if local else {}
    try:
        ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray has no exception of its own for this
        raise RuntimeError(f"Ray does not start: {error}") from error
    try:
        task = ray.remote(_work)
        pending = {}
        for run in runs:
            gpus = int(bool(run.config["sysconfig"].get("use_gpu")))
            options = {"max_retries": _RETRIES, "num_cpus": 1, "num_gpus": gpus, "name": run.name}
            started = task.options(**options).remote(run, out.absolute(), environment)
            pending[started] = run
        while pending:
            ended, _ = ray.wait(list(pending), timeout=_PAUSE)
            for reference in ended:
                yield Ended(pending.pop(reference), _error_of(reference))
            yield None
    finally:
        ray.shutdown()


def _error_of(reference: Any) -> str | None:
    import ray

    try:
        error: str | None = ray.get(reference)
    except ray.exceptions.RayError as failure:
        return str(failure).strip().splitlines()[-1]
    return error


def _work(run: Run, out: Path, environment: Mapping[str, str]) -> str | None:
    """In a worker: carry out a run once no other sweep holds it; returns why it failed."""
    if not out.is_dir():
        raise FileNotFoundError(f"{os.uname().nodename} has no {out}: all machines must share the sweep's folder")
    while True:
        with contextlib.suppress(BlockingIOError):
            return execute(run, out, environment)
        time.sleep(1)
