"""Commands on results: summary, report and comparison."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.validation import StructuredError


def summary(results: Annotated[list[Path], typer.Argument(help="Result files (JSON) that ARMORY wrote.")]) -> None:
    """Print the mean IoU of runs, one line each."""
    from armory_skelevision.results.result_file import read_run

    for path in results:
        print(f"{read_run(path)}  results {path}")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Result files, folders of ARMORY's outputs or sweep folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the page and its tables; created if absent.")],
    title: Annotated[str | None, typer.Option(help="Headline; by default the title of the sweep's grid.")] = None,
    videos: Annotated[
        bool, typer.Option("--videos", help="Embed exported videos, which makes the page large.")
    ] = False,
) -> None:
    """Write an HTML report, and its tables as CSV, Markdown and LaTeX. Exit code 1 if a result is unreadable."""
    from armory_skelevision.results.report.writing import write_report

    written = write_report(runs, out, title, videos)
    print(written.page)
    _exit_with(written.problems)


def compare(
    a: Annotated[Path, typer.Argument(help="A result file, a folder of ARMORY's outputs, or a sweep folder.")],
    b: Annotated[Path, typer.Argument(help="The result to compare with, likewise.")],
    expect: Annotated[
        list[str] | None, typer.Option(help="A config key expected to differ, such as model; may be repeated.")
    ] = None,
) -> None:
    """Compare two results video by video. Exit code 1 if unexpected settings differ or a run is left out."""
    from armory_skelevision.results.comparison import compare as compare_results
    from armory_skelevision.results.format_comparison import format_comparison

    comparison = compare_results(a, b, expect or ())
    print(format_comparison(comparison))
    _exit_with(comparison.problems)
    if not comparison.is_fair:
        raise typer.Exit(1)


def _exit_with(problems: Sequence[StructuredError]) -> None:
    """End with exit code 1 if anything was left out, naming it on stderr."""
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)
