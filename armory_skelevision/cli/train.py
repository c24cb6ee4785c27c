"""`skelevision train`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from armory_skelevision.cli.options import OPTIONS, require
from armory_skelevision.io import refuse_existing

if TYPE_CHECKING:
    from armory_skelevision.datasets.sequence_people import VideoLayout
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


@app.command()
def adversarial(
    settings: _File, changes: _Changes = None, resume: _Resume = False, overwrite: _Overwrite = False
) -> None:
    """Train a SiamRPN tracker further on attacked pairs, so that perturbations move it less."""
    from armory_skelevision.training.adversarial.settings import AdversarialSettings

    read = _read(settings, AdversarialSettings, changes)
    from armory_skelevision.training.adversarial.training import AdversarialTraining

    _train(AdversarialTraining(read), resume, overwrite)


@app.command()
def constants(
    weights: Annotated[Path, typer.Argument(help="Weights file of a SiamRPN tracker.")],
    videos: Annotated[
        list[str],
        typer.Option("--video", help="FOLDER=LAYOUT of a validation video, as in the settings; may be repeated."),
    ],
    out: Annotated[Path | None, typer.Option(help="Weights file to write, with the chosen constants.")] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file to write, with all results.")] = None,
    penalty: Annotated[list[float] | None, typer.Option(help="Value of penalty_k; may be repeated.")] = None,
    window: Annotated[list[float] | None, typer.Option(help="Value of window_influence; may be repeated.")] = None,
    rate: Annotated[list[float] | None, typer.Option(help="Value of learning_rate; may be repeated.")] = None,
) -> None:
    """Choose a tracker's constants on whole videos: PySOT's, unless others of a small grid are better by 0.01."""
    from armory_skelevision.training import constants as search

    folders = dict(split_video(each) for each in videos)
    for path in filter(None, (out, table)):
        refuse_existing(path)
    grid = penalty or search.PENALTIES, window or search.WINDOWS, rate or search.RATES
    trials = search.try_constants(weights, folders, *grid)
    best = search.choose(trials)
    for name, trial in {
        "PySOT's": trials[0],
        "best": max(trials, key=lambda trial: trial.mean),
        "chosen": best,
    }.items():
        chosen = trial.settings
        print(
            f"{name}: penalty {chosen.penalty_k}, window {chosen.window_influence}, rate {chosen.learning_rate}: "
            f"{trial.mean:.3f} ({', '.join(f'{score:.3f}' for score in trial.scores.values())})"
        )
    if table is not None:
        search.write_trials(trials, table)
    if out is not None:
        search.write_with_constants(weights, out, best.settings)


def split_video(text: str) -> tuple[str, VideoLayout]:
    """Folder and layout of an option."""
    from armory_skelevision.datasets.sequence_people import VideoLayout
    from armory_skelevision.validation import check_value

    folder, _, layout = text.rpartition("=")
    check_value(f"--video {folder}", layout, VideoLayout)
    return folder, cast(VideoLayout, layout)


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
