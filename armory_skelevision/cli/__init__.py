"""Measure how robust person trackers are: the commands around `armory run`, which evaluates a single config."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from armory_skelevision import __version__
from armory_skelevision.cli import data, export, leaderboard, results, submit, train, weights
from armory_skelevision.cli.check import check
from armory_skelevision.cli.claims import claims
from armory_skelevision.cli.configs import configs
from armory_skelevision.cli.options import OPTIONS
from armory_skelevision.cli.sweep import sweep
from armory_skelevision.cli.track import track
from armory_skelevision.io import message
from armory_skelevision.validation import StructuredError

DEBUG = "SKELEVISION_DEBUG"
"""Environment variable; when set, errors come with their traceback."""


class Application(typer.Typer):
    """A command that reports user errors in one line on stderr with exit code 1 (wrong usage: exit code 2)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command on the process's arguments, or on a given list."""
        try:
            return super().__call__(*args, **kwargs)
        except (StructuredError, ValueError, OSError, RuntimeError, ArithmeticError, ImportError) as error:
            if os.environ.get(DEBUG):
                raise
            print(f"error: {_describe(error)}", file=sys.stderr)
            sys.exit(1)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, StructuredError) and error.strerror and error.filename:
        return message(f"{error.filename}: {error.strerror}")
    return message(str(error)) or type(error).__name__


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"skelevision {__version__}")
        raise typer.Exit


app = Application(help=__doc__, rich_markup_mode=None, epilog=f"Set {DEBUG}=1 to see tracebacks.", **OPTIONS)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Print the version, or run a command."""


_ON_RESULTS = (results.summary, results.report, results.compare, export.export, export.export_attacked)
for command in (check, configs, track, sweep, *_ON_RESULTS, claims):
    app.command()(command)
_GROUPS = {"data": data, "train": train, "weights": weights, "submit": submit, "leaderboard": leaderboard}
for name, group in _GROUPS.items():
    app.add_typer(group.app, name=name)
