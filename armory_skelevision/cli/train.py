"""`skelevision train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.cli.options import OPTIONS, require

app = typer.Typer(help="Train a network.", **OPTIONS)

_CHANGES = typer.Option("--set", help="NAME=VALUE in place of the file's; may be given again.")


@app.command()
def multitask(
    settings: Annotated[Path, typer.Argument(help="JSON file of the run's settings.")],
    changes: Annotated[list[str] | None, _CHANGES] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Train a SiamRPN tracker, with the keypoint head or without."""
    require("lightning", 'pip install "armory_skelevision[train]"')
    from armory_skelevision.training.settings import Settings, parse_changes, read_run_settings

    read = read_run_settings(settings, Settings, parse_changes(changes or []))
    from armory_skelevision.training.multitask import train as run_training

    print(f"weights {run_training(read, resume)}")


@app.command()
def dualossdef(
    settings: Annotated[Path, typer.Argument(help="JSON file of the run's settings.")],
    changes: Annotated[list[str] | None, _CHANGES] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Train DuaLossDef, the defense before a frozen SiamRPN tracker."""
    require("lightning", 'pip install "armory_skelevision[train]"')
    from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
    from armory_skelevision.training.settings import parse_changes, read_run_settings

    read = read_run_settings(settings, DuaLossDefSettings, parse_changes(changes or []))
    from armory_skelevision.training.dualossdef.training import train as run_training

    print(f"weights {run_training(read, resume)}")


@app.command()
def backdoor(
    settings: Annotated[
        Path, typer.Argument(help="JSON file of the run's settings, such as training_configs/backdoors/fsba.json.")
    ],
    changes: Annotated[list[str] | None, _CHANGES] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Put a backdoor into a trained tracker, to study it. The weights say that they carry one."""
    require("lightning", 'pip install "armory_skelevision[train]"')
    from armory_skelevision.training.settings import BackdoorSettings, parse_changes, read_run_settings

    read = read_run_settings(settings, BackdoorSettings, parse_changes(changes or []))
    from armory_skelevision.training.backdoor import train as run_training

    print(f"weights {run_training(read, resume)}")
