"""Commands on results: summary, report and comparison."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.io import printable
from armory_skelevision.validation import StructuredError


def summary(
    results: Annotated[list[Path], typer.Argument(help="Result files, folders of ARMORY's outputs or sweep folders.")],
) -> None:
    """Print the mean IoU of runs, one line each. Exit code 1 if a result is unreadable."""
    from armory_skelevision.results.load import load_runs
    from armory_skelevision.results.summary import summarize

    loaded = load_runs(results)
    for run in loaded.runs:
        shown = str(run) if run.is_finished else run.state
        print(f"{shown}  results {printable(run.path or run.folder)}")
    summarized = summarize(loaded.runs)
    remarks = (summarized.unmeasured, summarized.incomplete, summarized.identical, summarized.inconsistent)
    _report_remarks([line for lines in remarks for line in lines])
    _exit_with(loaded.problems, "error")


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
    print(printable(written.page))
    _report_remarks(written.remarks)
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


def _report_remarks(remarks: Sequence[str]) -> None:
    """Name on stderr what readers of the numbers should know."""
    for remark in remarks:
        print(f"note: {' '.join(remark.split())}", file=sys.stderr)


def _exit_with(problems: Sequence[StructuredError], word: str = "left out") -> None:
    """End with exit code 1 if anything was left out, naming it on stderr."""
    for problem in problems:
        print(f"{word}: {' '.join(str(problem).split())}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)
