"""Runs as tasks of Ray: on this machine, or on the cluster that `RAY_ADDRESS` names.

Every machine of a cluster needs this package, the weights and the data, and access to the sweep's folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from armory_skelevision.sweeps.execute import Ended, execute
from armory_skelevision.sweeps.local_engine import share_cores
from armory_skelevision.sweeps.run import Run

# "export" is below the run's folder, weights of the model in ARMORY's
_PATH = re.compile("(root|dir|folder|path|file|patch_init|perturbation)$")
_RETRIES = 5
_PAUSE = 0.5


def run_on_ray(runs: Sequence[Run], out: Path, jobs: int) -> Generator[Ended | None]:
    """Carry out runs and yield each as it ends; None in between, every now and then.

    A run takes one of Ray's CPUs, and one of its GPUs if its config has `use_gpu`. A run whose worker is lost is
    started anew on another.

    Relative paths of its config refer to the working directory of the sweep, which its worker must have, too.

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
            started = task.options(**options).remote(run, out.absolute(), Path.cwd(), environment)
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


def _work(run: Run, out: Path, place: Path, environment: Mapping[str, str]) -> str | None:
    """In a worker: carry out a run once no other sweep holds it; returns why it failed.

    Relative paths of its config mean the same as in ``place``, the working directory of the sweep.
    """
    node = os.uname().nodename
    if not out.is_dir():
        raise FileNotFoundError(f"{node} has no {out}: all machines must share the sweep's folder")
    relative = list(relative_paths(run.config))
    if relative and not place.is_dir():
        raise FileNotFoundError(f"{node} has no {place}, which {', '.join(relative)} refers to; give absolute paths")
    with contextlib.chdir(place) if place.is_dir() else contextlib.nullcontext():
        while True:
            with contextlib.suppress(BlockingIOError):
                return execute(run, out, environment)
            time.sleep(1)


def relative_paths(config: Mapping[str, Any]) -> Iterator[str]:
    """Dotted keys of a config's data, attack and defense that have relative paths."""
    sections = {"dataset": config.get("dataset")}
    sections |= {f"{name}.kwargs": (config.get(name) or {}).get("kwargs") for name in ("attack", "defense")}
    for name, section in sections.items():
        for key, value in (section or {}).items():
            if _PATH.search(key) and isinstance(value, str) and not Path(value).is_absolute():
                yield f"{name}.{key}"
