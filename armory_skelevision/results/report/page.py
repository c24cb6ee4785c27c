"""The report as one HTML file that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.results.cells import Cell
from armory_skelevision.results.finding import Collection
from armory_skelevision.results.groups import Board
from armory_skelevision.results.labels import key_of
from armory_skelevision.results.report.charts import looks_of
from armory_skelevision.results.report.figures import close_up, steps_panels
from armory_skelevision.results.report.keypoints import keypoint_panels
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.tables import Table


@dataclass(frozen=True)
class Sheet:
    """What it takes to run a cell again; all text."""

    name: str
    state: str
    command: str
    hash: str
    weights: str
    versions: Mapping[str, str]
    log_end: str
    config: str


def render_page(
    title: str,
    collection: Collection,
    board: Board,
    tables: Mapping[str, Table],
    published: Published,
    videos: bool,
) -> str:
    """The page.

    Args:
        title: Its headline.
        collection: Everything found.
        board: The same, in groups.
        tables: "miou", "metrics", "keypoints", "videos" and "cells".
        published: Numbers beside ours.
        videos: Whether to embed exported videos.
    """
    looks = looks_of(board.models, board.baseline)
    close = close_up(board, looks, videos)
    common = _common_versions(collection.cells)
    page: str = _template().render(
        title=title,
        counts=count_cells(collection.cells, board),
        faults=collection.faults,
        strange=board.strange,
        baseline=board.baseline,
        published=any(entry.published is not None for row in tables["miou"].rows for entry in row),
        source=published.source,
        attacked=len(board.sides) > 1,
        panels=steps_panels(board, looks),
        keypoint_panels=keypoint_panels(board),
        close=close,
        has_frames=any(strip.frames for scene in close.scenes for strip in scene.strips),
        looks=looks,
        sheets=[_sheet(cell, board) for cell in collection.cells],
        common_versions=common,
        version=__version__,
        **tables,
    )
    return page


def count_cells(cells: Sequence[Cell], board: Board) -> str:
    """How many runs there are and what became of them, in a line."""
    states = Counter(cell.state for cell in cells)
    words = [f"{states[state]} {state}" for state in ("finished", "failed", "missing") if states[state]]
    if board.repeated:
        words.append(f"{len(board.repeated)} repeated, of which the newest counts")
    runs = f"{len(cells)} {'run' if len(cells) == 1 else 'runs'}"
    models = f"{len(board.models)} {'model' if len(board.models) == 1 else 'models'}"
    settings = f"{len(board.settings)} {'setting' if len(board.settings) == 1 else 'settings'}"
    return f"{runs}: {', '.join(words) or 'none'} · {models} · {settings}"


def rerun_command(cell: Cell, file_name: str) -> str:
    """The command that runs a cell again: the sweep's own, or ARMORY on the config that lies beside the page."""
    if cell.command or not cell.config:
        return cell.command
    return f"armory run configs/{file_name} --no-docker"


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["css"] = Markup(_read("report.css"))  # our own file, whose quotes must stay quotes
    return environment.from_string(_read("report.html"))


def _read(name: str) -> str:
    return (files("armory_skelevision.results.report") / "templates" / name).read_text(encoding="utf-8")


def _common_versions(cells: Sequence[Cell]) -> dict[str, str]:
    """Versions that all cells with versions share."""
    told = [set(cell.versions.items()) for cell in cells if cell.versions]
    return dict(sorted(set.intersection(*told))) if told else {}


def _sheet(cell: Cell, board: Board) -> Sheet:
    model = cell.config.get("model")
    weights = model.get("weights_file") if isinstance(model, dict) else None
    return Sheet(
        name=cell.name,
        state=cell.state if key_of(cell) not in board.repeated else "repeated",
        command=rerun_command(cell, f"{cell.name}.json"),
        hash=cell.hash,
        weights=", ".join(f"{name} {value}" for name, value in cell.weights.items())
        or f"{weights or 'chosen by the model itself'}; its hash was not recorded (ARMORY alone records none)",
        versions=cell.versions,
        log_end=cell.log_end,
        config=json.dumps(cell.config, indent=2, sort_keys=True, ensure_ascii=False) if cell.config else "",
    )
