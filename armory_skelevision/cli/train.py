"""`skelevision train`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from armory_skelevision.cli.options import OPTIONS, require

if TYPE_CHECKING:
    from armory_skelevision.training.body import TrainingBody
    from armory_skelevision.training.settings import RunSettings

    Kind = TypeVar("Kind", bound=RunSettings)

app = typer.Typer(help="Train a network.", **OPTIONS)

_File = Annotated[Path, typer.Argument(help="JSON file of settings, such as those in training_configs/.")]
_Changes = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE overrides a setting of the file; may be repeated.")
]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run from its last checkpoint; begin it if it has none yet.")
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder, if there is one.")]


@app.command()
def multitask(
    settings: _File, changes: _Changes = None, resume: _Resume = False, overwrite: _Overwrite = False
) -> None:
    """Train a SiamRPN tracker, with the keypoint head or without."""
    from armory_skelevision.training.settings import MultitaskSettings

    read = _read(settings, MultitaskSettings, changes)
    from armory_skelevision.training.multitask import MultitaskTraining

    _train(MultitaskTraining(read), resume, overwrite)


@app.command()
def dualossdef(
    settings: _File, changes: _Changes = None, resume: _Resume = False, overwrite: _Overwrite = False
) -> None:
    """Train DuaLossDef, the defense in front of a frozen SiamRPN tracker."""
    from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings

    read = _read(settings, DuaLossDefSettings, changes)
    from armory_skelevision.training.dualossdef.training import DuaLossDefTraining

    _train(DuaLossDefTraining(read), resume, overwrite)


@app.command()
def backdoor(settings: _File, changes: _Changes = None, resume: _Resume = False, overwrite: _Overwrite = False) -> None:
    """Train a backdoor into a trained tracker, for research. The weights file records the backdoor."""
    from armory_skelevision.training.backdoor.settings import BackdoorSettings

    read = _read(settings, BackdoorSettings, changes)
    from armory_skelevision.training.backdoor.training import BackdoorTraining

    _train(BackdoorTraining(read), resume, overwrite)


def _read(path: Path, kind: type[Kind], changes: list[str] | None) -> Kind:
    """The run's settings. They are checked before Lightning is imported, which takes seconds."""
    require("lightning", 'pip install "armory_skelevision[train]"')
    from armory_skelevision.training.settings import parse_changes, read_settings

    return read_settings(path, kind, parse_changes(changes or []))


def _train(training: TrainingBody, resume: bool, overwrite: bool) -> None:
    from armory_skelevision.training.fitting import TERMINATED, train

    try:
        print(f"weights {train(training, resume, overwrite)}")
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning exits with 1 for SIGINT, and with no error at all for SIGTERM
        _report_stop(Path(training.settings.folder))
        interrupted = isinstance(stop, KeyboardInterrupt) or stop.code == 1
        raise typer.Exit(128 + signal.SIGINT if interrupted else TERMINATED) from None


def _report_stop(folder: Path) -> None:
    """Say what a run that was stopped has kept, and how to continue it."""
    from armory_skelevision.training.checkpoints import find_checkpoints

    kept = [path.name for path in find_checkpoints(folder)[:1]]
    saved = f"{kept[0]} is kept; the same command with --resume continues from it" if kept else "no checkpoint yet"
    print(f"stopped: {folder}: {saved}", file=sys.stderr)
