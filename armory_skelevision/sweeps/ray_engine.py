"""Cells as tasks of Ray: on this machine, or on the cluster that `RAY_ADDRESS` names.

Every machine of a cluster needs this package, the weights and the data, and must see the sweep's folder.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from armory_skelevision.sweeps.local_engine import share_cores
from armory_skelevision.sweeps.process import BUSY, Ended, start, stop
from armory_skelevision.sweeps.run import Cell

_RETRIES = 5
_PAUSE = 0.5


def run_on_ray(cells: Sequence[Cell], out: Path, jobs: int) -> Generator[Ended | None]:
    """Run cells, and name each as it ends; None in between, every now and then.

    A cell takes one of Ray's CPUs, and one of its GPUs if its config says `use_gpu`. A cell whose worker is lost is
    begun anew on another.

    Args:
        cells: In the order in which they are begun.
        out: The sweep's folder.
        jobs: How many workers a local cluster gets; one that is there already has its own.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    local = "RAY_ADDRESS" not in os.environ
    environment = share_cores(jobs) if local else {}
    where: dict[str, Any] = {"address": "local", "num_cpus": jobs, "include_dashboard": False} if local else {}
    try:
        ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray has no kind of its own for this
        raise RuntimeError(f"Ray does not start: {error}") from error
    try:
        task = ray.remote(_work)
        pending = {
            task.options(max_retries=_RETRIES, num_cpus=1, num_gpus=_gpus(cell), name=cell.name).remote(
                tuple(cell), os.fspath(out.absolute()), environment
            ): cell
            for cell in cells
        }
        while pending:
            ended, _ = ray.wait(list(pending), timeout=_PAUSE)
            for reference in ended:
                yield Ended(pending.pop(reference), _code_of(reference))
            yield None
    finally:
        ray.shutdown()


def _code_of(reference: Any) -> int | str:
    import ray

    try:
        code: int = ray.get(reference)
    except ray.exceptions.RayError as error:
        return str(error).strip().splitlines()[-1]
    return code


def _gpus(cell: Cell) -> int:
    return int(bool(cell.config["sysconfig"].get("use_gpu")))


def _work(cell: Sequence[Any], out: str, environment: Mapping[str, str]) -> int:
    """In a worker: run a cell, waiting for whoever else runs it."""
    if not Path(out).is_dir():
        raise FileNotFoundError(f"{os.uname().nodename} does not see {out}: all machines must share the sweep's folder")
    while True:
        process = start(Cell(*cell), Path(out), environment)
        try:
            code = process.wait()
        finally:
            stop(process)
        if code != BUSY:
            return code
        time.sleep(1)
