"""Options that several commands share."""

from __future__ import annotations

import importlib.util
from typing import Any

import typer

OPTIONS: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
"""Settings of every group of commands."""

FROM = typer.Option("--from", help="Address of a mirror (of a folder, if it ends in /), or a local file or folder.")


def require(package: str, fix: str) -> None:
    """Refuse a command that needs a package which is not installed (`ImportError`, with how to install it)."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"this command needs {package}, which is not installed; {fix}")
