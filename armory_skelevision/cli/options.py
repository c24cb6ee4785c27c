"""What several commands have in common."""

from __future__ import annotations

import importlib.util
from typing import Any

import typer

OPTIONS: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
"""Of every group of commands."""

FROM = typer.Option("--from", help="A mirror's address (with / at its end: a folder), or a local file or folder.")


def require(package: str, mend: str) -> None:
    """Refuse a command that needs a package which is not installed, saying how to get it."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"this command needs {package}, which is not installed here: {mend}")
