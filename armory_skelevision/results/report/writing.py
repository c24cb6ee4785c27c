"""A report as a folder: the page, its tables as CSV, Markdown and LaTeX, and configs to run evaluations again.

The page is one HTML file that needs nothing else: no script, no network, no other file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import __version__
from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.io.pages import make_environment
from armory_skelevision.results.load import LoadedRuns, load_runs
from armory_skelevision.results.records import RunResult
from armory_skelevision.results.report.exports import to_csv, to_latex, to_markdown
from armory_skelevision.results.report.figures import curve_panels, steps_panels
from armory_skelevision.results.report.folder import PAGE, prepare_folder, replace_files
from armory_skelevision.results.report.keypoints import keypoint_panels, keypoints_table
from armory_skelevision.results.report.overview import (
    metrics_table,
    miou_table,
    rerun_command,
    runs_table,
    videos_table,
)
from armory_skelevision.results.report.qualitative import Qualitative, qualitative
from armory_skelevision.results.report.svg import LineStyle, line_styles
from armory_skelevision.results.report.tables import Table
from armory_skelevision.results.summary import Summary, summarize
from armory_skelevision.validation import StructuredError


class WrittenReport(NamedTuple):
    """The outcome of `write_report`."""

    page: Path
    problems: tuple[StructuredError, ...]
    """One for each file that could not be read and was left out."""
    remarks: tuple[str, ...] = ()
    """A line for each run without true boxes or some values, and for runs whose seed has no effect or that disagree."""


def write_report(paths: Sequence[Path], out: Path, title: str | None = None, videos: bool = False) -> WrittenReport:
    """Write a report on evaluations.

    Args:
        paths: Result files, folders of ARMORY's outputs, sweep folders.
        out: The folder; made if absent. Files of an earlier report are replaced, or deleted where they have no
            successor; other files there are left alone.
        title: Headline; by default that of a sweep's grid.
        videos: Whether to embed exported videos, which may make the page large.

    Raises:
        MissingFileError: If a path does not exist.
        InvalidValueError: If the folder has files of these names which are not of a report. Nothing is written then.
        OSError: If a file cannot be written, with its name.
    """
    is_report = prepare_folder(out)
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
    styles = line_styles(summary.models, summary.baseline)
    details = qualitative(summary, styles, videos)
    loaded = loaded._replace(
        problems=tuple({str(each): each for each in (*loaded.problems, *details.problems)}.values())
    )
    files = {
        f"{table.name}.{suffix}": write(table)
        for table in tables
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex))
        if table.rows
    }
    files |= _configs(summary.runs) | {PAGE: _render_page(heading, loaded, summary, tables, details, styles)}
    replace_files(out, files, is_report)
    remarks = (*summary.unmeasured, *summary.incomplete, *summary.identical, *summary.inconsistent)
    return WrittenReport(out / PAGE, loaded.problems, remarks)


def _with_unique_names(runs: Sequence[RunResult]) -> list[RunResult]:
    """Runs with names that can name files; runs of different folders may have the same name."""
    named: dict[str, RunResult] = {}
    for run in runs:
        name = plain = run.name.replace("/", "-").lstrip(".")[:100] or "run"
        number = 2
        while name in named:
            name, number = f"{plain}-{number}", number + 1
        named[name] = replace(run, name=name)
    return list(named.values())


def _configs(runs: Sequence[RunResult]) -> dict[str, str]:
    """Configs of runs that are not part of a sweep, by file, without what belongs to their first run."""
    files = {}
    for run in runs:
        if run.config and not run.command:
            config = {key: value for key, value in run.config.items() if key != "eval_id"}
            if isinstance(config.get("sysconfig"), dict):
                tied = ("filepath", "output_dir", "output_filename")
                config["sysconfig"] = {key: value for key, value in config["sysconfig"].items() if key not in tied}
            files[f"configs/{run.name}.json"] = format_config(config)
    return files


def _render_page(
    title: str,
    loaded: LoadedRuns,
    summary: Summary,
    tables: Sequence[Table],
    details: Qualitative,
    styles: Mapping[str, LineStyle],
) -> str:
    """The page, with the tables "miou", "metrics", "keypoints", "videos" and "runs"."""
    published = [grid["published"] for grid in loaded.grids.values() if isinstance(grid.get("published"), dict)]
    sources = dict.fromkeys(str(found["source"]) for found in published if found.get("source"))
    page: str = _template().render(
        {table.name: table for table in tables},
        title=title,
        counts=_count_runs(summary),
        problems=loaded.problems,
        summary=summary,
        source="; ".join(sources),
        attacked=len(summary.sides) > 1,
        curve_panels=curve_panels(summary, styles),
        steps_panels=steps_panels(summary, styles),
        keypoint_panels=keypoint_panels(summary),
        details=details,
        styles=styles,
        rerun_command=rerun_command,
        common_versions=_common_versions(summary),
        version=__version__,
    )
    return page


def _count_runs(summary: Summary) -> str:
    """How many runs there are, and in which states, in a line."""
    states = Counter(run.state for run in summary.runs)
    words = [f"{states[state]} {state}" for state in ("finished", "failed", "missing") if states[state]]
    repeated = sum(run.is_repeated for run in summary.runs)
    if repeated:
        words.append(f"{repeated} repeated, of which the newest counts")
    counts = {"run": len(summary.runs), "model": len(summary.models), "setting": len(summary.groups)}
    runs, *others = (f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    return " · ".join([f"{runs}: {', '.join(words) or 'none'}", *others])


def _template() -> Any:
    environment = make_environment("armory_skelevision.results.report")
    environment.filters["json"] = partial(json.dumps, indent=2, sort_keys=True, ensure_ascii=False)
    return environment.get_template("report.html")


def _common_versions(summary: Summary) -> dict[str, str]:
    """Versions that all runs with recorded versions share."""
    recorded = [set(run.versions.items()) for run in summary.runs if run.versions]
    return dict(sorted(set.intersection(*recorded))) if recorded else {}
