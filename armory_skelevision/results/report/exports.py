"""Tables as CSV, Markdown and LaTeX, with the same numbers as on the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

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
        *([_markdown(cell) for cell in row] for row in table.rows),
    ]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


_PARTS = ("", " ± 95 %", " n", " published")


def _parts_of(table: Table, index: int) -> Sequence[str]:
    """The parts of a column in CSV: those that some cell has."""
    cells = [row[index] for row in table.rows]
    return [part for part in _PARTS if not part or any(_part(cell, part) for cell in cells)]


def _part(cell: TableCell, part: str) -> str:
    if part == " published":
        return "" if cell.published is None else _plain(cell.published, cell.digits)
    if cell.value is None:
        return "" if part else cell.text or cell.state
    number = {"": cell.value.mean, " ± 95 %": cell.value.half_width}
    if part == " n":
        return str(cell.value.n)
    found = number[part]
    return "" if found is None else _plain(found, cell.digits)


def _plain(number: float, digits: int) -> str:
    return f"{number:.{digits + 4}f}".rstrip("0").rstrip(".")


def _markdown(cell: TableCell) -> str:
    words = [f"**{cell.number}**" if cell.best else _escape_markdown(cell.number), cell.interval]
    words.append(f"({cell.signed_change})" if cell.signed_change else "")
    words.append("" if cell.published is None else f"[{cell.published:.{cell.digits}f}]")
    words.append(_escape_markdown(cell.note))
    return " ".join(word for word in words if word) or cell.state or " "


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
            *(" & ".join(map(_latex, row)) + r" \\" for row in table.rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def _latex(cell: TableCell) -> str:
    number = _escape_latex(cell.number)
    parts = [rf"\textbf{{{number}}}" if cell.best else number, _escape_latex(cell.interval)]
    parts.append(f"({_escape_latex(cell.signed_change)})" if cell.signed_change else "")
    parts.append("" if cell.published is None else f"{{[}}{cell.published:.{cell.digits}f}{{]}}")
    parts.append(_escape_latex(cell.note))
    return " ".join(part for part in parts if part) or cell.state


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
