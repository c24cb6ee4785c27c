"""A sweep from its grid file to its last run: what is done already, what is to run, how long it will take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tqdm import tqdm

from armory_skelevision.io import atomic_write
from armory_skelevision.sweeps.execute import Ended
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.local_engine import run_local
from armory_skelevision.sweeps.mlflow_log import log_run
from armory_skelevision.sweeps.ray_engine import run_on_ray
from armory_skelevision.sweeps.run import Run, is_finished, read_record
from armory_skelevision.weights import resolve as weights
from armory_skelevision.weights.packaged import install_weights

GRID, RUNS = "grid.json", "runs.json"
"""What a sweep's folder has beside the folders of its runs: a copy of the grid file, and all runs that it asks for."""


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


def run_sweep(
    grid: Path, out: Path, engine: Literal["local", "ray"] = "local", jobs: int = 1, mlflow: bool = False
) -> list[Ended]:
    """Carry out all runs of a grid that are not finished; failed ones are tried again.

    Args:
        grid: The grid file; a copy is kept as ``grid.json``, the runs that it asks for as ``runs.json``.
        out: The sweep's folder; made if absent.
        engine: Where runs are carried out.
        jobs: How many at a time.
        mlflow: Log what finishes to MLflow, too.

    Returns:
        The runs that failed, in the order in which they did.
    """
    install_weights(weights.saved_model_dir())  # once, before many runs do it at the same time
    progress = read_progress(grid, out)
    _write_plan(grid, out, [each.run for each in progress])
    left = [each.run for each in progress if each.state != "finished"]
    carry_out = run_on_ray if engine == "ray" else run_local
    failed = []
    done = len(progress) - len(left)
    with (
        tqdm(total=len(progress), initial=done, unit="run", desc="Sweep", disable=None, smoothing=0) as bar,
        closing(carry_out(left, out, jobs)) as events,
    ):
        for ended in events:
            if ended is None:
                bar.refresh()
                continue
            bar.update()
            if ended.error is not None:
                failed.append(ended)
                bar.set_postfix(failed=len(failed))
            elif mlflow:
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
        return Progress(run, "finished", float(record["seconds"]))
    return Progress(run, "failed" if record.get("state") == "failed" else "outdated", None)


def _write_plan(grid: Path, out: Path, runs: Sequence[Run]) -> None:
    """Write once what the sweep will run, so that whoever reads its results has no need to derive it."""
    out.mkdir(parents=True, exist_ok=True)
    plan: dict[str, Any] = {"grid": read_object(grid), "runs": [run._asdict() for run in runs]}
    atomic_write(out / GRID, grid.read_bytes())
    atomic_write(out / RUNS, (json.dumps(plan, indent=4, ensure_ascii=False) + "\n").encode("utf-8"))


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds:.0f} s"
