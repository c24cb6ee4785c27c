"""Tables of a report as data, independent of the format they are written in, and what places a row: its setting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.labels import LENGTHS, is_attacked
from armory_skelevision.results.metric_names import Metric
from armory_skelevision.results.records import Setting
from armory_skelevision.results.summary import Group, Summary

MISSING = "missing"
"""Shown where a run has no result, or its result lacks the value (null or NaN) of a video."""


@dataclass(frozen=True)
class TableCell:
    """One cell of a table: a text, or an estimate with its annotations.

    Attributes:
        text: Shown where there is no estimate.
        value: The estimate, in the unit shown.
        digits: After the decimal point.
        change: Difference to the baseline in the same row, in the same unit.
        best: Whether it is the highest of its row.
        published: The published number beside it, in the same unit.
        note: A remark, such as "2 of 3 seeds".
        state: "", "partial", "failed", "missing" or "absent" (not requested, or not measured).
    """

    text: str = ""
    value: Estimate | None = None
    digits: int = 1
    change: float | None = None
    best: bool = False
    published: float | None = None
    note: str = ""
    state: str = ""

    @property
    def number(self) -> str:
        """The mean as shown."""
        return self.text if self.value is None else f"{self.value.mean:.{self.digits}f}"

    @property
    def interval(self) -> str:
        """The interval as "± …"; empty for a single value, and for equal values, which no seed affects."""
        half = self.value.half_width if self.value else None
        return f"± {half:.{self.digits}f}" if half else ""

    @property
    def signed_change(self) -> str:
        """The difference to the baseline with its sign; "" where there is none."""
        if self.change is None:
            return ""
        shown = f"{self.change:+.{self.digits}f}"
        return shown.replace("-", "−") if float(shown) else f"{0:.{self.digits}f}"

    @property
    def tone(self) -> str:
        """Comparison with the baseline: "better" or "worse" in three steps ("better 2"); empty for equal numbers."""
        if self.change is None or not float(f"{self.change:.{self.digits}f}"):
            return ""
        size = abs(self.change)
        return f"{'better' if self.change > 0 else 'worse'} {1 if size < 2 else 2 if size < 6 else 3}"


Row = Mapping[str, TableCell | str]
"""Cells by column; a plain text stands for a cell that has nothing else."""


class Table:
    """A table.

    Args:
        name: Of its files, without suffix.
        title: Headline.
        rows: One cell for each column.
        caption: How to read it.
        numeric: Columns of numbers, which are aligned to the right.

    Attributes:
        cells: A `TableCell` in each place.
        columns: Headers.
        rows: Rows of cells.
    """

    def __init__(
        self, name: str, title: str, rows: Sequence[Row], caption: str = "", numeric: Iterable[str] = ()
    ) -> None:
        self.name = name
        self.title = title
        self.caption = caption
        self.numeric = frozenset(numeric)
        self.cells = pd.DataFrame(rows).map(lambda cell: cell if isinstance(cell, TableCell) else TableCell(cell))
        self.columns: list[str] = list(self.cells)
        self.rows: list[tuple[TableCell, ...]] = list(self.cells.itertuples(index=False, name=None))


def as_cell(value: Estimate | None, metric: Metric) -> TableCell:
    """A measured value, "–" where there is none."""
    if value is None:
        return TableCell("–", digits=metric.digits, state="absent")
    half = None if value.half_width is None else value.half_width * metric.scale
    return TableCell(value=Estimate(value.mean * metric.scale, half, value.n), digits=metric.digits)


def compared(cells: Mapping[str, TableCell], baseline: str | None) -> dict[str, TableCell]:
    """Cells of one row by model, with their differences to the baseline, and the highest marked."""
    numbers = {cell.number for cell in cells.values() if cell.value}
    best = max(numbers, key=float) if len(numbers) > 1 else None
    reference = cells[baseline].value if baseline is not None and baseline in cells else None
    return {
        model: replace(
            cell,
            change=cell.value.mean - reference.mean if cell.value and reference and model != baseline else None,
            best=cell.value is not None and cell.number == best,
        )
        for model, cell in cells.items()
    }


def constant_part(summary: Summary) -> str:
    """What all settings have in common, as a line for a caption."""
    first: Setting = next(iter(summary.groups), ())
    return write_setting(tuple(pair for pair in first if pair[0] not in summary.varying))


def write_setting(setting: Setting) -> str:
    """A setting as a line: "walkers mini · PatchAttack · δ 0.1 · 10 steps"."""
    words = []
    for name, value in setting:
        plain = name in ("data set", "attack", "defense")
        words.append(value if plain else f"{value} steps" if name == "steps" else f"{name} {value}")
    return " · ".join(words)


def setting_cells(summary: Summary, setting: Setting) -> dict[str, str]:
    """The first cells of a row: what distinguishes a setting, by name."""
    return {name: dict(setting).get(name, "–") for name in summary.varying}


def rows_by_side(summary: Summary) -> Iterator[tuple[dict[str, str], str, Mapping[str, Group]]]:
    """Rows of a table with one side each: its first cells, the side, and groups by model.

    What was measured without an attack comes first, then each setting with one.
    """
    for unattacked, benign in summary.benign.items():
        yield _benign_cells(summary, unattacked), "benign", benign
        for setting, groups in summary.groups.items():
            if is_attacked(setting) and summary.unattacked[setting] == unattacked:
                yield setting_cells(summary, setting) or {"": "attacked"}, "adversarial", groups


def _benign_cells(summary: Summary, unattacked: Setting) -> dict[str, str]:
    """First cells of a row without attack: "benign" in the first column of the attack, or else in the first."""
    texts = {name: dict(unattacked).get(name, "") for name in summary.varying or [""]}
    attack = next((name for name in texts if name in ("attack", "δ", *LENGTHS)), None)
    if attack is not None:
        return {**texts, attack: "benign"}
    first = next(iter(texts))
    return {**texts, first: f"{texts[first]} benign".strip()}
