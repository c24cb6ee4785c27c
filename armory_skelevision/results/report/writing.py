"""A report as a folder: the page, its tables as CSV and Markdown, and a config to run each cell again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.io import atomic_write
from armory_skelevision.results.cells import Cell
from armory_skelevision.results.finding import collect
from armory_skelevision.results.groups import make_board
from armory_skelevision.results.report.keypoints import keypoints_table
from armory_skelevision.results.report.overview import cells_table, metrics_table, miou_table, videos_table
from armory_skelevision.results.report.page import render_page, rerun_command
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.tables import Table, to_csv, to_markdown

PAGE = "index.html"


class Written(NamedTuple):
    """What came of a report."""

    page: Path
    faults: tuple[str, ...]
    """One line for each file that could not be read and was left out."""


def write_report(paths: Sequence[Path], out: Path, title: str | None = None, videos: bool = False) -> Written:
    """Write a report on evaluations.

    Args:
        paths: Result files, folders of ARMORY's outputs, sweep folders.
        out: The folder; made if absent. Files of an earlier report are replaced.
        title: Headline; by default a grid's, else a plain one.
        videos: Whether to embed exported videos, which may make the page large.

    Raises:
        FileNotFoundError: If a path leads nowhere.
    """
    collection = collect(paths)
    collection = replace(collection, cells=_with_names(collection.cells))
    board = make_board(collection.cells)
    published = Published.of_grids(collection.grids)
    commands = [replace(cell, command=rerun_command(cell, f"{cell.name}.json")) for cell in collection.cells]
    tables = {
        table.name: table
        for table in (
            miou_table(board, published),
            metrics_table(board),
            keypoints_table(board),
            videos_table(board),
            cells_table(board, commands),
        )
    }
    titles = [title, *(grid.get("title") for grid in collection.grids.values()), "Evaluations"]
    heading = next(str(found) for found in titles if found)
    page = render_page(heading, collection, board, tables, published, videos)
    out.mkdir(parents=True, exist_ok=True)
    _write_tables(out, tables.values())
    _write_configs(out / "configs", collection.cells)
    atomic_write(out / PAGE, page.encode("utf-8"))
    return Written(out / PAGE, collection.faults)


def _with_names(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cells with names of their own, of which files can be named: those of two folders may be called alike."""
    used: set[str] = set()
    named = []
    for cell in cells:
        plain = cell.name.replace("/", "-")
        names = (plain, *(f"{plain}-{number}" for number in range(2, len(cells) + 1)))
        name = next(name for name in names if name not in used)
        used.add(name)
        named.append(replace(cell, name=name))
    return tuple(named)


def _write_tables(out: Path, tables: Iterable[Table]) -> None:
    for table in filter(lambda table: table.rows, tables):
        atomic_write(out / f"{table.name}.csv", to_csv(table).encode("utf-8"))
        atomic_write(out / f"{table.name}.md", to_markdown(table).encode("utf-8"))


def _write_configs(folder: Path, cells: Sequence[Cell]) -> None:
    """Configs of cells that no sweep keeps, without what tied them to their first run."""
    for cell in cells:
        if cell.config and not cell.command:
            folder.mkdir(exist_ok=True)
            config = {key: value for key, value in cell.config.items() if key != "eval_id"}
            if isinstance(config.get("sysconfig"), dict):
                tied = ("filepath", "output_dir", "output_filename")
                config["sysconfig"] = {key: value for key, value in config["sysconfig"].items() if key not in tied}
            atomic_write(folder / f"{cell.name}.json", format_config(config).encode("utf-8"))
