"""Texts from result files as they may be shown: without control characters, and never a formula or a tag."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_FORMULA = "=+-@＝＋－＠"
_HIDDEN_FORMULA = re.compile(f"(;\\s*)([{_FORMULA}])")


def plain(text: str, keep: str = "") -> str:
    """A text with escapes for control characters, and for marks that turn the direction of writing.

    Args:
        text: The text.
        keep: Characters to leave as they are, such as line breaks.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in text)


def one_line(text: str) -> str:
    """`plain` text with single blanks for line breaks and tabs."""
    return plain(" ".join(text.split()))


def csv_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a quotation mark comes before what begins like one.

    Numbers stay numbers. Where lists are separated by semicolons, what follows one begins a cell, too.
    """
    line = one_line(text)
    if _NUMBER.fullmatch(line):
        return line
    line = _HIDDEN_FORMULA.sub(r"\1'\2", line)
    return f"'{line}" if line[:1] and line[0] in _FORMULA else line


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode() if not character.isspace() else " "
