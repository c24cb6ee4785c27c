"""`skelevision sweep`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.cli.options import require


class Engine(StrEnum):
    """Where a sweep's evaluations run."""

    local, ray = "local", "ray"


def sweep(
    grid: Annotated[
        Path, typer.Argument(help="JSON file of the grid, such as sweep_configs/walkers.json; see docs/sweeps.md.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results, with one folder per run; created if absent.")],
    engine: Annotated[Engine, typer.Option(help="Run on this machine, or as tasks of Ray.")] = Engine.local,
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Number of runs at a time; of workers, with Ray on this machine.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run nothing; check the runs, and list finished and remaining ones.")
    ] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Also log each finished run to MLflow.")] = False,
) -> None:
    """Run an ARMORY evaluation for each combination of a grid. Resumes if interrupted; exit code 1 if a run failed.

    All runs are checked before the first begins, as `skelevision check` does; exit code 1 if one could not work.
    """
    from armory_skelevision.sweeps.sweep import check_progress, format_progress, read_progress, run_sweep

    if dry_run:
        progress = read_progress(grid, out)
        findings = check_progress(progress, engine.value)
        print("\n".join([format_progress(progress, jobs), *map(str, findings)]))
        if any(finding.level != "warning" for finding in findings):
            raise typer.Exit(1)
        return
    if engine is Engine.ray:
        require("ray", 'pip install "armory_skelevision[cluster]"')
    if mlflow:
        require("mlflow", 'pip install "armory_skelevision[mlflow]"')
    failed = run_sweep(grid, out, engine.value, jobs, mlflow, lambda finding: print(finding, file=sys.stderr))
    for run, error in failed:
        print(f"failed: {run.name}: {error}  log {out / run.name / 'log.txt'}", file=sys.stderr)
    from armory_skelevision.results.load import load_runs
    from armory_skelevision.results.summary import summarize

    for line in summarize(load_runs([out]).runs).identical:
        print(f"note: {line}", file=sys.stderr)
    print(f"results {out}")
    if failed:
        raise typer.Exit(1)
