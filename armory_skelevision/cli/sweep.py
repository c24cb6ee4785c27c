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
    out: Annotated[Path, typer.Option(help="Folder of the results, with one folder per run; made if absent.")],
    engine: Annotated[Engine, typer.Option(help="Run on this machine, or as tasks of Ray.")] = Engine.local,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time; for a local Ray, its workers.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run nothing; print what is done and what is left.")
    ] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log each run that finishes to MLflow, too.")] = False,
) -> None:
    """Run an ARMORY evaluation for each combination of a grid. Resumes; exits with 1 if a run failed."""
    from armory_skelevision.sweeps.sweep import format_progress, read_progress, run_sweep

    if dry_run:
        print(format_progress(read_progress(grid, out), jobs))
        return
    if engine is Engine.ray:
        require("ray", 'pip install "armory_skelevision[cluster]"')
    if mlflow:
        require("mlflow", 'pip install "armory_skelevision[mlflow]"')
    failed = run_sweep(grid, out, engine.value, jobs, mlflow)
    for run, error in failed:
        print(f"failed: {run.name}: {error}  log {out / run.name / 'log.txt'}", file=sys.stderr)
    print(f"results {out}")
    if failed:
        raise typer.Exit(1)
