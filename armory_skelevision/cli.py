"""The `skelevision` command: what `armory run` does not do."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from armory_skelevision import __version__

DEBUG = "SKELEVISION_DEBUG"
"""Environment variable; when set, errors come with their traceback."""


class Application(typer.Typer):
    """A command whose users' errors are one line on stderr and exit code 1 (a wrong usage: exit code 2)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command on the process's arguments, or on the list given."""
        try:
            return super().__call__(*args, **kwargs)
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            if os.environ.get(DEBUG):
                raise
            print(f"error: {_describe(error)}", file=sys.stderr)
            sys.exit(1)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


_OPTIONS: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
app = Application(help=__doc__, rich_markup_mode=None, epilog=f"{DEBUG}=1 shows tracebacks.", **_OPTIONS)
data = typer.Typer(help="Render or prepare a data set.", **_OPTIONS)
train = typer.Typer(help="Train a network.", **_OPTIONS)
weights = typer.Typer(help="Look at weight files.", **_OPTIONS)
app.add_typer(data, name="data")
app.add_typer(train, name="train")
app.add_typer(weights, name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"skelevision {__version__}")
        raise typer.Exit


def _import(module: str, needs: str, mend: str) -> ModuleType:
    """Import one of our modules that needs an optional package, or say how to get that package."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != needs:
            raise
        raise ImportError(f"this command needs {needs}, which is not installed here: {mend}") from error


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
    """Write ARMORY's evaluation configs, or say which differ from the table in code."""
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


@app.command()
def summary(results: Annotated[list[Path], typer.Argument(help="Result files (JSON) that ARMORY wrote.")]) -> None:
    """Print what came out of runs, one line each."""
    from armory_skelevision.results.summary import read_summary

    for path in results:
        print(f"{read_summary(path)}  results {path}")


@weights.command("list")
def list_weights() -> None:
    """List the packaged weight files."""
    from armory_skelevision.files import hash_file
    from armory_skelevision.pretrained import PACKAGED_WEIGHTS

    for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors")):
        print(f"{path.name}  {path.stat().st_size / 1e6:.1f} MB  sha256 {hash_file(path)}")
