"""Pages that commands make from templates, and renew without ever writing over another file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from armory_skelevision.io.files import atomic_write
from armory_skelevision.io.reading import printable, read_bytes
from armory_skelevision.validation import InvalidValueError, StructuredError

MAX_PAGE = 2**30
"""Bytes of an earlier page."""


def make_environment(package: str, escapes: bool = True) -> Any:
    """A jinja2 environment for the templates of a package's folder ``templates``.

    Args:
        package: Dotted name.
        escapes: Whether texts are escaped for HTML.

    Unknown names are errors, and texts are printed as `printable` shows them.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package),
        autoescape=escapes,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_show,
    )


def write_page(path: Path, text: str, mark: str) -> None:
    """Write a page, which may replace an earlier one; its folder is made if absent.

    Args:
        path: The file.
        text: Its content.
        mark: What every version of the page contains, and other files do not.

    Raises:
        InvalidValueError: If there is another file of that name.
        OSError: If it cannot be written.
    """
    if os.path.lexists(path) and not _is_marked(path, mark):
        raise InvalidValueError(printable(path), "a new file, or an earlier page", "another file", "name another one")
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())


def _is_marked(path: Path, mark: str) -> bool:
    try:
        return mark.encode() in read_bytes(path, MAX_PAGE)
    except StructuredError:
        return False


def _show(value: Any) -> Any:
    """What a template prints: markup as it is, everything else as `printable` text."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else printable(str(value), keep="\n\t\xa0")
