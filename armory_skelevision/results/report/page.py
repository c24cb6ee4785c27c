"""The report as one HTML file that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.results.load import LoadedRuns
from armory_skelevision.results.report.figures import curve_panels, steps_panels
from armory_skelevision.results.report.keypoints import keypoint_panels
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.qualitative import qualitative
from armory_skelevision.results.report.svg import line_styles
from armory_skelevision.results.report.tables import Table
from armory_skelevision.results.summary import Summary


def render_page(
    title: str,
    loaded: LoadedRuns,
    summary: Summary,
    tables: Mapping[str, Table],
    published: Published,
    commands: Mapping[str, str],
    embed_videos: bool,
) -> str:
    """The page.

    Args:
        title: Its headline.
        loaded: Everything found.
        summary: The same, grouped.
        tables: "miou", "metrics", "keypoints", "videos" and "runs".
        published: Numbers of papers.
        commands: By the name of a run, the command that runs it again.
        embed_videos: Whether to embed exported videos.
    """
    styles = line_styles(summary.models, summary.baseline)
    page: str = _template().render(
        title=title,
        counts=count_runs(summary),
        problems=loaded.problems,
        inconsistent=summary.inconsistent,
        baseline=summary.baseline,
        published=any(cell.published is not None for row in tables["miou"].rows for cell in row),
        source=published.source,
        attacked=len(summary.sides) > 1,
        curve_panels=curve_panels(summary, styles),
        steps_panels=steps_panels(summary, styles),
        keypoint_panels=keypoint_panels(summary),
        details=qualitative(summary, styles, embed_videos),
        styles=styles,
        runs_with_labels=summary.runs,
        commands=commands,
        common_versions=_common_versions(summary),
        version=__version__,
        **tables,
    )
    return page


def count_runs(summary: Summary) -> str:
    """How many runs there are, and in which states, in a line."""
    states = Counter(each.run.state for each in summary.runs)
    words = [f"{states[state]} {state}" for state in ("finished", "failed", "missing") if states[state]]
    repeated = sum(each.is_repeated for each in summary.runs)
    if repeated:
        words.append(f"{repeated} repeated, of which the newest counts")
    counts = {"run": len(summary.runs), "model": len(summary.models), "setting": len(summary.settings)}
    runs, *others = (f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    return " · ".join([f"{runs}: {', '.join(words) or 'none'}", *others])


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["json"] = partial(json.dumps, indent=2, sort_keys=True, ensure_ascii=False)
    environment.globals["css"] = Markup(_read("report.css"))  # quotes in the package's own file stay quotes
    return environment.from_string(_read("report.html"))


def _read(name: str) -> str:
    return (files("armory_skelevision.results.report") / "templates" / name).read_text(encoding="utf-8")


def _common_versions(summary: Summary) -> dict[str, str]:
    """Versions that all runs with recorded versions share."""
    recorded = [set(each.run.versions.items()) for each in summary.runs if each.run.versions]
    return dict(sorted(set.intersection(*recorded))) if recorded else {}
