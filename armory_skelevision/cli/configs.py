"""`skelevision configs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def configs(
    out: Annotated[Path, typer.Option(help="The folder of the configs.")] = Path("scenario_configs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file would change.")] = False,
) -> None:
    """Write ARMORY's evaluation configs, or say which differ from the tables in code."""
    from armory_skelevision.evaluation.configs import compare_configs, write_configs

    if not check:
        for path in write_configs(out):
            print(path)
        return
    differences = compare_configs(out)
    for line in differences:
        print(line)
    if differences:
        raise typer.Exit(1)
