"""A sweep from its grid file to its last run: what is done already, what is to run, how long it will take."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from armory_skelevision.evaluation.check import Finding
from armory_skelevision.io import progress as show_progress
from armory_skelevision.io import read_bytes, read_object
from armory_skelevision.io.progress import INTERVAL
from armory_skelevision.sweeps.check import check_runs, refuse_errors
from armory_skelevision.sweeps.execute import Ended
from armory_skelevision.sweeps.folder import claimed
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.local_engine import run_local
from armory_skelevision.sweeps.mlflow_log import log_run
from armory_skelevision.sweeps.ray_engine import run_on_ray
from armory_skelevision.sweeps.run import Run, is_finished, read_record
from armory_skelevision.validation import Range, accepts, check_arguments
from armory_skelevision.weights import resolve as weights
from armory_skelevision.weights.packaged import install_weights

MAX_JOBS = 256
"""Most runs at a time."""

_Seconds = Annotated[float, Range(0, 1e9)]


class Progress(NamedTuple):
    """How far a run is."""

    run: Run
    state: str
    """"finished", "failed", "outdated" (finished with another config, other versions or weights) or "to run"."""
    seconds: float | None
    """How long it took, where it has finished."""


def read_progress(grid: Path, out: Path) -> list[Progress]:
    """How far each run of a grid is, in the order of `read_grid`; writes nothing."""
    return [_progress_of(run, out / run.name) for run in read_grid(grid)]


def estimate_seconds(progress: Sequence[Progress], jobs: int) -> float | None:
    """How long the unfinished runs will take, judged by the finished ones; None where none has finished."""
    took = [each.seconds for each in progress if each.state == "finished" and each.seconds is not None]
    left = sum(each.state != "finished" for each in progress)
    return left * sum(took) / len(took) / min(jobs, max(left, 1)) if took else None


def check_progress(progress: Sequence[Progress], engine: Literal["local", "ray"] = "local") -> list[Finding]:
    """What is wrong with the runs that are not finished, see `check_runs`."""
    left = [each.run for each in progress if each.state != "finished"]
    return check_runs(left, elsewhere=engine == "ray" and "RAY_ADDRESS" in os.environ) if left else []


def run_sweep(
    grid: Path,
    out: Path,
    engine: Literal["local", "ray"] = "local",
    jobs: Annotated[int, Range(1, MAX_JOBS)] = 1,
    mlflow: bool = False,
    warn: Callable[[Finding], None] = lambda finding: None,
) -> list[Ended]:
    """Carry out all runs of a grid that are not finished; failed ones are tried again.

    Args:
        grid: The grid file; a copy is kept as ``grid.json``, the runs that it asks for as ``runs.json``.
        out: The sweep's folder; made if absent.
        engine: Where runs are carried out.
        jobs: How many at a time.
        mlflow: Log what finishes to MLflow, too.
        warn: Is told what may be wrong with runs before the first begins.

    Returns:
        The runs that failed, in the order in which they did.

    Raises:
        InvalidValueError: If the grid or one of its runs cannot be right, or the folder has files of something else.
        OSError: If the folder cannot be written to.
    """
    check_arguments(run_sweep, {"engine": engine, "jobs": jobs})
    install_weights(weights.saved_model_dir())  # once, before many runs do it at the same time
    progress = read_progress(grid, out)
    findings = check_progress(progress, engine)
    refuse_errors(findings)
    for finding in findings:
        warn(finding)
    left = [each.run for each in progress if each.state != "finished"]
    with claimed(out, left, *_plan(grid, [each.run for each in progress])):
        return _carry_out(left, len(progress) - len(left), grid, out, engine, jobs, mlflow)


def _carry_out(
    left: Sequence[Run], done: int, grid: Path, out: Path, engine: str, jobs: int, mlflow: bool
) -> list[Ended]:
    run = run_on_ray if engine == "ray" else run_local
    failed = []
    shown_at = time.monotonic()
    with (
        show_progress(desc="Sweep", total=done + len(left), initial=done, unit="run", smoothing=0, leave=True) as bar,
        closing(run(left, out, jobs)) as events,
    ):
        for ended in events:
            if ended is None:
                if sys.stderr.isatty() or time.monotonic() - shown_at > INTERVAL:
                    bar.refresh()
                    shown_at = time.monotonic()
                continue
            if ended.error is not None:
                failed.append(ended)
                bar.set_postfix(failed=len(failed), refresh=False)
            bar.update()
            if ended.error is None and mlflow:
                log_run(ended.run, out / ended.run.name, grid.stem)
    return failed


def format_progress(progress: Sequence[Progress], jobs: int) -> str:
    """A line for each run, and two for all: what `--dry-run` prints."""
    lines = []
    for each in progress:
        took = "" if each.seconds is None else f"  {_duration(each.seconds)}"
        lines.append(f"{each.state:9} {each.run.name}{took}")
    counts = {name: sum(each.state == name for each in progress) for name in ("finished", "failed", "outdated")}
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "finished")
    lines.append(f"{len(progress)} runs: {counted}, {len(progress) - counts['finished']} to run")
    seconds = estimate_seconds(progress, jobs)
    if counts["finished"] < len(progress):
        unknown = "the time left is unknown until a run has finished"
        lines.append(unknown if seconds is None else f"about {_duration(seconds)} left, {jobs} at a time")
    return "\n".join(lines)


def _progress_of(run: Run, folder: Path) -> Progress:
    record = read_record(folder)
    if record is None:
        return Progress(run, "to run", None)
    if is_finished(run, folder):
        seconds: Any = record.get("seconds")
        return Progress(run, "finished", float(seconds) if accepts(_Seconds, seconds) else None)
    return Progress(run, "failed" if record.get("state") == "failed" else "outdated", None)


def _plan(grid: Path, runs: Sequence[Run]) -> tuple[bytes, bytes]:
    """The grid file, and all runs that it asks for, as they are written into the sweep's folder."""
    plan: dict[str, Any] = {"grid": read_object(grid), "runs": [run._asdict() for run in runs]}
    return read_bytes(grid), (json.dumps(plan, indent=4, ensure_ascii=False) + "\n").encode("utf-8")


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds:.0f} s"
