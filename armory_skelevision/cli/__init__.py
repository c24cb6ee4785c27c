"""The `skelevision` command: what `armory run` does not do."""

from __future__ import annotations

import importlib.util
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from armory_skelevision import __version__
from armory_skelevision.cli import results
from armory_skelevision.commands.check import check
from armory_skelevision.commands.submit import submit

if TYPE_CHECKING:
    from armory_skelevision.datasets.people import People

DEBUG = "SKELEVISION_DEBUG"
"""Environment variable; when set, errors come with their traceback."""


class Application(typer.Typer):
    """A command whose users' errors are one line on stderr and exit code 1 (a wrong usage: exit code 2)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command on the process's arguments, or on the list given."""
        try:
            return super().__call__(*args, **kwargs)
        except (ValueError, OSError, RuntimeError, ArithmeticError, ImportError) as error:
            if os.environ.get(DEBUG):
                raise
            print(f"error: {_describe(error)}", file=sys.stderr)
            sys.exit(1)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


class Engine(StrEnum):
    """Where a sweep runs its cells."""

    local, ray = "local", "ray"


_OPTIONS: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
app = Application(help=__doc__, rich_markup_mode=None, epilog=f"{DEBUG}=1 shows tracebacks.", **_OPTIONS)
data = typer.Typer(help="Render or fetch a data set, or cut crops from one.", **_OPTIONS)
crops = typer.Typer(help="Cut a fetched data set of real people into a store to train on.", **_OPTIONS)
train = typer.Typer(help="Train a network.", **_OPTIONS)
weights = typer.Typer(help="List, fetch, check or convert weight files.", **_OPTIONS)
app.command()(check)
app.add_typer(data, name="data")
data.add_typer(crops, name="crops")
app.add_typer(train, name="train")
app.add_typer(weights, name="weights")
app.add_typer(submit, name="submit")


# What commands have in common.
_INTO = typer.Option("--into", help="Folder of fetched weights; by default ARMORY's saved_model_dir.")
_OUT = typer.Option("--out", help="The folder, for the archives too; made if absent.")
_STORE = typer.Option("--out", help="Folder of the store; made if absent. Several data sets may share one.")
_SKIP = typer.Option("--skip-faulty", help="Leave out what cannot be used, and say how much, instead of refusing it.")
_FROM = typer.Option("--from", help="A mirror's address (with / at its end: a folder), or a local file or folder.")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"skelevision {__version__}")
        raise typer.Exit


def _require(package: str, mend: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"this command needs {package}, which is not installed here: {mend}")


def _print_paths(paths: list[Path]) -> None:
    for path in paths:
        print(path)


def _make_crops(people: People, out: Path, skip_faulty: bool) -> None:
    from armory_skelevision.training.crops.making import make_crops

    made = make_crops(people, out, skip_faulty)
    print(f"{made.crops} crops in {out}")
    if made.faults:
        print(f"{len(made.faults)} left out, listed in {out / people.name}-faults.txt")


def _weights_folder(given: Path | None) -> Path:
    if given is not None:
        return given
    from armory_skelevision.preparation import saved_model_dir

    return saved_model_dir()


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Person trackers under physical patch attacks: what `armory run` does not do."""


@app.command()
def configs(
    out: Annotated[Path, typer.Option(help="The folder of the configs.")] = Path("scenario_configs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file would change.")] = False,
) -> None:
    """Write ARMORY's evaluation configs, or say which differ from the tables in code."""
    from armory_skelevision.configs import compare_configs, write_configs

    if not check:
        for path in write_configs(out):
            print(path)
        return
    differences = compare_configs(out)
    for line in differences:
        print(line)
    if differences:
        raise typer.Exit(1)


for command in (results.summary, results.report, results.compare):
    app.command()(command)


@app.command()
def sweep(
    grid: Annotated[Path, typer.Argument(help="JSON file of the grid, such as grids/walkers.json; docs/sweeps.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the results, one folder per cell; made if absent.")],
    engine: Annotated[Engine, typer.Option(help="Where: on this machine, or as tasks of Ray.")] = Engine.local,
    jobs: Annotated[int, typer.Option(min=1, help="How many cells at a time; of a local Ray, its workers.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run nothing; say what is done and what is left.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log each cell that finishes to MLflow, too.")] = False,
) -> None:
    """Run ARMORY evaluations of all cells of a grid. Goes on where it was stopped; exit 1 if a cell failed."""
    from armory_skelevision.results.sweep.running import describe, run_sweep, survey

    if dry_run:
        print(describe(survey(grid, out), jobs))
        return
    if engine is Engine.ray:
        _require("ray", 'pip install "armory_skelevision[cluster]"')
    if mlflow:
        _require("mlflow", 'pip install "armory_skelevision[mlflow]"')
    failures = run_sweep(grid, out, engine.value, jobs, mlflow)
    for cell, error in failures:
        print(f"failed: {cell.name}: {error}  log {out / cell.name / 'log.txt'}", file=sys.stderr)
    print(f"results {out}")
    if failures:
        raise typer.Exit(1)


@data.command()
def walkers(
    out: Annotated[Path, typer.Option(help="Folder for the videos, a split of its own; made if absent.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first video; the others take the next ones.")],
    videos: Annotated[int, typer.Option(min=1, help="How many videos.")] = 1,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames of each video; by default 36 to 40.")] = None,
) -> None:
    """Render further videos of the simulated town, with their ground truth. Goes on where it was stopped."""
    _require("bpy", "set up .venv-render by `make render-env` and run .venv-render/bin/skelevision")
    from armory_skelevision.walkers.render import render_split

    render_split(out, range(seed, seed + videos), frames)
    print(f'to evaluate on them: "root": "{out.absolute().parent}", "eval_split": "{out.name}" under "dataset"')


@data.command()
def coco(
    out: Annotated[Path, _OUT],
    splits: Annotated[list[str] | None, typer.Argument(help="train, val; by default both (20 GB).")] = None,
    origin: Annotated[str | None, _FROM] = None,
) -> None:
    """Fetch COCO 2017, persons' keypoints and images. Goes on where it was stopped; checks the published hashes."""
    from armory_skelevision.fetching.data import fetch_coco

    _print_paths(fetch_coco(out, splits or ["train", "val"], origin))


@data.command()
def lasot(out: Annotated[Path, _OUT], origin: Annotated[str | None, _FROM] = None) -> None:
    """Fetch LaSOT's 20 sequences of persons (4 GB). Goes on where it was stopped."""
    from armory_skelevision.fetching.data import fetch_lasot

    _print_paths(fetch_lasot(out, origin))


@data.command()
def otb(
    out: Annotated[Path, _OUT],
    names: Annotated[list[str] | None, typer.Argument(help="Such as Crossing; by default all with persons.")] = None,
    origin: Annotated[str | None, _FROM] = None,
) -> None:
    """Fetch sequences of the OTB benchmark. Goes on where it was stopped."""
    from armory_skelevision.fetching.data import fetch_otb

    _print_paths(fetch_otb(out, names or (), origin))


@crops.command("coco")
def crop_coco(
    annotations: Annotated[Path, typer.Option(help="Such as annotations/person_keypoints_train2017.json.")],
    images: Annotated[Path, typer.Option(help="The folder of its pictures, such as train2017.")],
    out: Annotated[Path, _STORE],
    skip_faulty: Annotated[bool, _SKIP] = False,
) -> None:
    """Crops of COCO's persons with more than 5 keypoints. Goes on where it was stopped."""
    from armory_skelevision.datasets.coco import read_coco

    _make_crops(read_coco(annotations, images), out, skip_faulty)


@crops.command("lasot")
def crop_lasot(
    root: Annotated[Path, typer.Option(help="The folder with person-1 to person-20.")],
    split: Annotated[str, typer.Option(help="train, the first 800 frames of each sequence, or val, the next 100.")],
    out: Annotated[Path, _STORE],
    skip_faulty: Annotated[bool, _SKIP] = False,
) -> None:
    """Crops of LaSOT's persons, frame by frame. Goes on where it was stopped."""
    from armory_skelevision.datasets.lasot import read_lasot

    _make_crops(read_lasot(root, split), out, skip_faulty)


@train.command()
def multitask(
    settings: Annotated[Path, typer.Argument(help="JSON file of the run's settings.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Train a SiamRPN tracker, with the keypoint head or without."""
    _require("lightning", 'pip install "armory_skelevision[train]"')
    from armory_skelevision.training.settings import read_settings

    read = read_settings(settings)
    from armory_skelevision.training.multitask import train as run_training

    print(f"weights {run_training(read, resume)}")


@weights.command("list")
def list_weights(into: Annotated[Path | None, _INTO] = None) -> None:
    """List the packaged weights and those that can be fetched: network, training, licence, hash, place."""
    from armory_skelevision.zoo import describe_all

    print("\n\n".join(describe_all(_weights_folder(into))))


@weights.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Such as siamrpn_alex_dwxcorr; `weights list` names them.")],
    into: Annotated[Path | None, _INTO] = None,
    origin: Annotated[str | None, _FROM] = None,
) -> None:
    """Fetch PySOT's checkpoints from where they are published. Goes on where it was stopped."""
    from armory_skelevision.zoo import fetch_weights

    for name in names:
        print(fetch_weights(name, _weights_folder(into), origin))


@weights.command()
def verify(files: Annotated[list[Path], typer.Argument(help="Weight files.")]) -> None:
    """Read weight files strictly and say what they are; exit 1 and one line per problem."""
    from armory_skelevision.zoo import describe_file, find_faults

    faults = {path: find_faults(path) for path in files}
    for path, found in faults.items():
        print("\n".join(found) if found else describe_file(path))
    if any(faults.values()):
        raise typer.Exit(1)


@weights.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .pth, .pt, .ckpt or .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="The file to write: .safetensors for the first three, and back.")],
    licence: Annotated[str | None, typer.Option(help="Terms of use, for a .safetensors file.")] = None,
    training: Annotated[str | None, typer.Option(help="How they were trained, likewise.")] = None,
    lambda_k: Annotated[float | None, typer.Option(min=0, help="Weight of the keypoint loss, likewise.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training, likewise; -1 for unknown.")] = -1,
) -> None:
    """Rewrite weights in the other format, in float32 and without rounding."""
    from armory_skelevision.zoo import convert as convert_weights

    convert_weights(source, target, licence, training, lambda_k, seed)
    print(target)
