"""`skelevision configs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def configs(
    out: Annotated[Path, typer.Option(help="Folder of the configs.")] = Path("scenario_configs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 if a file would change.")] = False,
) -> None:
    """Write the package's ARMORY configs, or with --check list the files that differ from them."""
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
