"""A published file: its address, terms of use and hash."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One published file.

    Attributes:
        name: Its name for users.
        file: Its local file name.
        url: Address of the download.
        page: Web page on which people find it.
        licence: Terms of use, as the publishers state them.
        sha256: Published hash; None if there is none.
        size: Published size in bytes; None if there is none.
        about: Origin of the file.
    """

    name: str
    file: str
    url: str
    page: str
    licence: str
    sha256: str | None = None
    size: int | None = None
    about: str = ""
