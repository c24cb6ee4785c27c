"""`skelevision sweep`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.cli.options import require


class Engine(StrEnum):
    """Where a sweep runs its cells."""

    local, ray = "local", "ray"


def sweep(
    grid: Annotated[
        Path, typer.Argument(help="JSON file of the grid, such as sweep_configs/walkers.json; docs/sweeps.md.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results, one folder per cell; made if absent.")],
    engine: Annotated[Engine, typer.Option(help="Where: on this machine, or as tasks of Ray.")] = Engine.local,
    jobs: Annotated[int, typer.Option(min=1, help="How many cells at a time; of a local Ray, its workers.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run nothing; say what is done and what is left.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log each cell that finishes to MLflow, too.")] = False,
) -> None:
    """Run ARMORY evaluations of all cells of a grid. Goes on where it was stopped; exit 1 if a cell failed."""
    from armory_skelevision.sweeps.sweep import describe, run_sweep, survey

    if dry_run:
        print(describe(survey(grid, out), jobs))
        return
    if engine is Engine.ray:
        require("ray", 'pip install "armory_skelevision[cluster]"')
    if mlflow:
        require("mlflow", 'pip install "armory_skelevision[mlflow]"')
    failures = run_sweep(grid, out, engine.value, jobs, mlflow)
    for cell, error in failures:
        print(f"failed: {cell.name}: {error}  log {out / cell.name / 'log.txt'}", file=sys.stderr)
    print(f"results {out}")
    if failures:
        raise typer.Exit(1)
