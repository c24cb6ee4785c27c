"""A file that is published somewhere: where, under which terms, and with which hash."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One published file.

    Attributes:
        name: What users call it.
        file: Its file name here.
        url: Where it is downloaded from.
        page: Where a person finds it.
        licence: Terms of use, as its publishers state them.
        sha256: Its published hash; None where none is.
        size: Its published size in bytes; None where none is.
        about: What it was made from.
    """

    name: str
    file: str
    url: str
    page: str
    licence: str
    sha256: str | None = None
    size: int | None = None
    about: str = ""
