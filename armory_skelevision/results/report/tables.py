"""Tables of a report as data, independent of the format they are written in."""

from __future__ import annotations

from dataclasses import dataclass, field

from armory_skelevision.results.intervals import Estimate


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


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Of its files, without suffix.
        title: Headline.
        columns: Headers.
        rows: One cell for each column.
        caption: How to read it.
        numeric: Columns of numbers, which are aligned to the right.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    caption: str = ""
    numeric: frozenset[str] = field(default_factory=frozenset)
