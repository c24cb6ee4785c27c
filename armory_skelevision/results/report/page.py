"""The report as one HTML file that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.results.load import LoadedRuns
from armory_skelevision.results.report.figures import curve_panels, steps_panels
from armory_skelevision.results.report.keypoints import keypoint_panels
from armory_skelevision.results.report.overview import rerun_command
from armory_skelevision.results.report.qualitative import qualitative
from armory_skelevision.results.report.svg import line_styles
from armory_skelevision.results.report.tables import Table
from armory_skelevision.results.summary import Summary


def render_page(title: str, loaded: LoadedRuns, summary: Summary, tables: Sequence[Table], embed_videos: bool) -> str:
    """The page, with the tables "miou", "metrics", "keypoints", "videos" and "runs"."""
    published = [grid["published"] for grid in loaded.grids.values() if isinstance(grid.get("published"), dict)]
    sources = dict.fromkeys(str(found["source"]) for found in published if found.get("source"))
    styles = line_styles(summary.models, summary.baseline)
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
        details=qualitative(summary, styles, embed_videos),
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
    recorded = [set(run.versions.items()) for run in summary.runs if run.versions]
    return dict(sorted(set.intersection(*recorded))) if recorded else {}
