"""Tables as data, and as CSV and Markdown: the page, the spreadsheet and the paper say the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from armory_skelevision.results.intervals import Estimate


@dataclass(frozen=True)
class Entry:
    """One cell of a table: a text, or an estimate with what is said about it.

    Attributes:
        text: What stands there where there is no estimate.
        value: The estimate, in the unit that is shown.
        digits: After the decimal point.
        change: Difference to the baseline in the same row, in the same unit.
        best: The highest of its row.
        published: The published number beside ours, in the same unit.
        note: A word on the entry, such as "2 of 3 seeds".
        state: "", "partial", "failed", "missing" or "absent" (never asked for, or not measured).
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
        """The interval as "± …"; empty of a single value, and of equal ones, on which no seed had any bearing."""
        half = self.value.half_width if self.value else None
        return f"± {half:.{self.digits}f}" if half else ""

    @property
    def signed_change(self) -> str:
        """The difference to the baseline as shown, with its sign; "" where there is none."""
        if self.change is None:
            return ""
        shown = f"{self.change:+.{self.digits}f}"
        return shown.replace("-", "−") if float(shown) else f"{0:.{self.digits}f}"

    @property
    def tone(self) -> str:
        """How it compares with the baseline: "better" or "worse" in three steps ("better 2"); empty for as good."""
        if self.change is None or not float(f"{self.change:.{self.digits}f}"):
            return ""
        size = abs(self.change)
        return f"{'better' if self.change > 0 else 'worse'} {1 if size < 2 else 2 if size < 6 else 3}"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Of its files.
        title: A headline.
        columns: Headers.
        rows: As many entries each as there are columns.
        caption: How to read it.
        numeric: Columns of numbers, which stand on the right.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    caption: str = ""
    numeric: frozenset[str] = field(default_factory=frozenset)


def to_csv(table: Table) -> str:
    """A table as comma-separated values: for a number also its interval's half-width, its n, and what was published.

    Numbers have four digits more than the page shows.
    """
    columns = [_parts_of(table, index) for index in range(len(table.columns))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{name}{part}" for name, parts in zip(table.columns, columns, strict=True) for part in parts])
    for row in table.rows:
        writer.writerow([_part(entry, part) for entry, parts in zip(row, columns, strict=True) for part in parts])
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A table in Markdown, with its title and caption; the best in bold."""
    head = [f"## {_escape(table.title)}", ""]
    if table.caption:
        head += [_escape(table.caption), ""]
    marks = ["--:" if name in table.numeric else "---" for name in table.columns]
    lines = [list(map(_escape, table.columns)), marks, *([_markdown(entry) for entry in row] for row in table.rows)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


_PARTS = ("", " ± 95 %", " n", " published")


def _parts_of(table: Table, index: int) -> Sequence[str]:
    """Which parts a column has in CSV: those that some entry fills."""
    entries = [row[index] for row in table.rows]
    return [part for part in _PARTS if not part or any(_part(entry, part) for entry in entries)]


def _part(entry: Entry, part: str) -> str:
    if part == " published":
        return "" if entry.published is None else _plain(entry.published, entry.digits)
    if entry.value is None:
        return "" if part else entry.text or entry.state
    number = {"": entry.value.mean, " ± 95 %": entry.value.half_width}
    if part == " n":
        return str(entry.value.n)
    found = number[part]
    return "" if found is None else _plain(found, entry.digits)


def _plain(number: float, digits: int) -> str:
    return f"{number:.{digits + 4}f}".rstrip("0").rstrip(".")


def _markdown(entry: Entry) -> str:
    words = [f"**{entry.number}**" if entry.best else _escape(entry.number), entry.interval]
    words.append(f"({entry.signed_change})" if entry.signed_change else "")
    words.append("" if entry.published is None else f"[{entry.published:.{entry.digits}f}]")
    words.append(_escape(entry.note))
    return " ".join(word for word in words if word) or entry.state or " "


def _escape(text: str) -> str:
    """Text that stays text in a row of a Markdown table, even if it holds pipes, tags or stars."""
    for sign in "\\`*_|[]<>":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return " ".join(text.split())
