"""Tables as CSV, Markdown and LaTeX, with the same numbers as on the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from armory_skelevision.results.report.tables import Table, TableCell


def to_csv(table: Table) -> str:
    """A table as comma-separated values.

    A number is followed by the half-width of its interval, n, and the published number, each in a column of its own.
    Numbers have four digits more than on the page.
    """
    columns = [_parts_of(table, index) for index in range(len(table.columns))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{name}{part}" for name, parts in zip(table.columns, columns, strict=True) for part in parts])
    for row in table.rows:
        writer.writerow([_part(cell, part) for cell, parts in zip(row, columns, strict=True) for part in parts])
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A table in Markdown with its title and caption; the best of each row in bold."""
    head = [f"## {_escape_markdown(table.title)}", ""]
    if table.caption:
        head += [_escape_markdown(table.caption), ""]
    marks = ["--:" if name in table.numeric else "---" for name in table.columns]
    lines = [
        list(map(_escape_markdown, table.columns)),
        marks,
        *([_write(cell, _escape_markdown, "**%s**") for cell in row] for row in table.rows),
    ]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


_PARTS = ("", " ± 95 %", " n", " published")


def _parts_of(table: Table, index: int) -> Sequence[str]:
    """The parts of a column in CSV: those that some cell has."""
    return [part for part in _PARTS if not part or any(_part(row[index], part) for row in table.rows)]


def _part(cell: TableCell, part: str) -> str:
    if part == " published":
        return _plain(cell.published, cell.digits)
    if cell.value is None:
        return "" if part else cell.text or cell.state
    if part == " n":
        return str(cell.value.n)
    return _plain(cell.value.half_width if part else cell.value.mean, cell.digits)


def _plain(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits + 4}f}".rstrip("0").rstrip(".")


def _write(cell: TableCell, escape: Callable[[str], str], bold: str) -> str:
    """A cell's number, interval, change, published number and note as one text."""
    number = escape(cell.number)
    words = [bold % number if cell.best else number, escape(cell.interval)]
    words.append(f"({escape(cell.signed_change)})" if cell.signed_change else "")
    words.append("" if cell.published is None else f"[{cell.published:.{cell.digits}f}]")
    return " ".join(filter(None, [*words, escape(cell.note)])) or cell.state or " "


def _escape_markdown(text: str) -> str:
    """Text that stays plain in a row of a Markdown table, even with pipes, tags or stars."""
    for sign in "\\`*_|[]<>":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return " ".join(text.split())


def to_latex(table: Table) -> str:
    """A table in LaTeX with its caption and label, for the package booktabs; the best of each row in bold."""
    align = "".join("r" if name in table.numeric else "l" for name in table.columns)
    caption = ". ".join(part for part in (table.title, table.caption) if part)
    return "\n".join(
        [
            "% requires \\usepackage{booktabs}",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_escape_latex(caption)}}}",
            f"\\label{{tab:{table.name}}}",
            f"\\begin{{tabular}}{{{align}}}",
            "\\toprule",
            " & ".join(map(_escape_latex, table.columns)) + r" \\",
            "\\midrule",
            *(" & ".join(_write(cell, _escape_latex, r"\textbf{%s}") for cell in row) + r" \\" for row in table.rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def _escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is, with the signs that pdfLaTeX has no character for as mathematics."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
}
