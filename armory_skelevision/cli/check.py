"""`skelevision check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    configs: Annotated[list[Path] | None, typer.Argument(help="Config files, or folders of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Tolerate weights, data and other files that are not here yet.")
    ] = False,
) -> None:
    """Check this machine and configs before a run. Prints one line per finding.

    The exit code is 1 if there is an error, or if a file is missing.
    """
    from armory_skelevision.evaluation.check import check_all, format_findings, stops, to_json

    paths = [path for given in configs or [] for path in _list_configs(given)]
    findings = check_all(paths)
    print((to_json if as_json else format_findings)(findings, len(paths)))
    if stops(findings, allow_missing):
        raise typer.Exit(1)


def _list_configs(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise FileNotFoundError(f"{path} holds no .json files")
    return found
