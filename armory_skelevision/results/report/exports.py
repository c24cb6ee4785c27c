"""Tables as CSV, Markdown and LaTeX, with the same numbers as on the page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd

from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.report.text import csv_cell, one_line


def to_csv(table: Table) -> str:
    """A table as comma-separated values.

    A number is followed by the half-width of its interval, n, and the published number, each in a column of its own
    where any cell has it. Numbers have four digits more than on the page. Texts never begin like a formula.
    """
    columns = pd.concat(
        [pd.DataFrame(map(_parts, cells)).add_prefix(name) for name, cells in table.cells.items()], axis=1
    )
    shown = columns[[name for name in columns if name in table.cells or any(columns[name])]]
    text: str = shown.map(csv_cell).rename(columns=csv_cell).to_csv(index=False, lineterminator="\n")
    return text


def to_markdown(table: Table) -> str:
    """A table in Markdown with its title and caption; the best of each row in bold."""
    head = [f"## {_escape_markdown(table.title)}", ""]
    if table.caption:
        head += [re.sub(r"^(?=[-+=])", r"\\", _escape_markdown(table.caption)), ""]
    lines = [
        list(map(_escape_markdown, table.columns)),
        ["--:" if name in table.numeric else "---" for name in table.columns],
        *([_write(cell, _escape_markdown, "**%s**") for cell in row] for row in table.rows),
    ]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def to_latex(table: Table) -> str:
    """A table in LaTeX with its caption and label, for the package booktabs; the best of each row in bold."""
    texts = table.cells.map(_write, escape=_escape_latex, bold=r"\textbf{%s}").rename(columns=_escape_latex)
    latex: str = texts.style.hide().to_latex(
        hrules=True,
        column_format="".join("r" if name in table.numeric else "l" for name in table.columns),
        caption=_escape_latex(". ".join(part for part in (table.title, table.caption) if part)),
        label=f"tab:{table.name}",
        position_float="centering",
    )
    return f"% requires \\usepackage{{booktabs}}\n{latex}"


def _parts(cell: TableCell) -> dict[str, str]:
    """A cell in CSV, by the ending of the column's name."""
    value = cell.value
    return {
        "": _plain(value.mean, cell.digits) if value else cell.text or cell.state,
        " ± 95 %": _plain(value.half_width, cell.digits) if value else "",
        " n": str(value.n) if value else "",
        " published": _plain(cell.published, cell.digits),
    }


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
    return one_line(text).translate(_MARKDOWN)


def _escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is, with the signs that pdfLaTeX has no character for as mathematics."""
    return one_line(text).translate(_LATEX)


_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*_|[]~#$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LATEX = str.maketrans(
    {
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
)
