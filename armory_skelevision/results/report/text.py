"""Texts from result files as they may be shown: without control characters, and never a formula or a tag."""

from __future__ import annotations

import re

from armory_skelevision.io import printable

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_FORMULA = "=+-@＝＋－＠"
_HIDDEN_FORMULA = re.compile(f"(;\\s*)([{_FORMULA}])")


def one_line(text: str) -> str:
    """`printable` text with single blanks for line breaks and tabs."""
    return printable(" ".join(text.split()))


def csv_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a quotation mark comes before what begins like one.

    Numbers stay numbers. Where lists are separated by semicolons, what follows one begins a cell, too.
    """
    line = one_line(text)
    if _NUMBER.fullmatch(line):
        return line
    line = _HIDDEN_FORMULA.sub(r"\1'\2", line)
    return f"'{line}" if line[:1] and line[0] in _FORMULA else line
