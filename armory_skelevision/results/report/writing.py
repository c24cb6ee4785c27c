"""A report as a folder: the page, its tables as CSV, Markdown and LaTeX, and configs to run evaluations again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.io import atomic_write
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.records import RunResult
from armory_skelevision.results.report.exports import to_csv, to_latex, to_markdown
from armory_skelevision.results.report.keypoints import keypoints_table
from armory_skelevision.results.report.overview import metrics_table, miou_table, runs_table, videos_table
from armory_skelevision.results.report.page import render_page
from armory_skelevision.results.summary import summarize
from armory_skelevision.validation import StructuredError

PAGE = "index.html"


class WrittenReport(NamedTuple):
    """The outcome of `write_report`."""

    page: Path
    problems: tuple[StructuredError, ...]
    """One for each file that could not be read and was left out."""


def write_report(paths: Sequence[Path], out: Path, title: str | None = None, videos: bool = False) -> WrittenReport:
    """Write a report on evaluations.

    Args:
        paths: Result files, folders of ARMORY's outputs, sweep folders.
        out: The folder; made if absent. Files of an earlier report are replaced.
        title: Headline; by default that of a sweep's grid.
        videos: Whether to embed exported videos, which may make the page large.

    Raises:
        MissingFileError: If a path does not exist.
    """
    loaded = load_runs(paths)
    summary = summarize(_with_unique_names(loaded.runs))
    tables = (
        miou_table(summary),
        metrics_table(summary),
        keypoints_table(summary),
        videos_table(summary),
        runs_table(summary),
    )
    titles = [title, *(grid.get("title") for grid in loaded.grids.values()), "Evaluations"]
    heading = next(str(found) for found in titles if found)
    page = render_page(heading, loaded, summary, tables, videos)
    out.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex)):
            if table.rows:
                atomic_write(out / f"{table.name}.{suffix}", write(table).encode("utf-8"))
    _write_configs(out / "configs", summary.runs)
    atomic_write(out / PAGE, page.encode("utf-8"))
    return WrittenReport(out / PAGE, loaded.problems)


def _with_unique_names(runs: Sequence[RunResult]) -> list[RunResult]:
    """Runs with names that can name files; runs of different folders may have the same name."""
    named: dict[str, RunResult] = {}
    for run in runs:
        plain = run.name.replace("/", "-")
        names = (plain, *(f"{plain}-{number}" for number in range(2, len(runs) + 1)))
        name = next(name for name in names if name not in named)
        named[name] = replace(run, name=name)
    return list(named.values())


def _write_configs(folder: Path, runs: Sequence[RunResult]) -> None:
    """Configs of runs that are not part of a sweep, without what belongs to their first run."""
    for run in runs:
        if run.config and not run.command:
            folder.mkdir(exist_ok=True)
            config = {key: value for key, value in run.config.items() if key != "eval_id"}
            if isinstance(config.get("sysconfig"), dict):
                tied = ("filepath", "output_dir", "output_filename")
                config["sysconfig"] = {key: value for key, value in config["sysconfig"].items() if key not in tied}
            atomic_write(folder / f"{run.name}.json", format_config(config).encode("utf-8"))
