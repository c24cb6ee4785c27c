"""The folder of a report: the page and its tables are replaced together, and nobody else's files ever."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from armory_skelevision.io import atomic_write, leads_out, printable, read_bytes
from armory_skelevision.validation import InvalidValueError, StructuredError

PAGE = "index.html"

_TABLES = [
    f"{name}.{suffix}" for name in ("miou", "metrics", "keypoints", "videos", "runs") for suffix in ("csv", "md", "tex")
]
_MARK = b"Made by skelevision"


def prepare_folder(out: Path) -> bool:
    """Make the folder of a report, and see that it has no files of these names that are not of a report.

    Returns:
        Whether there is an earlier report.

    Raises:
        InvalidValueError: If it has, or is no folder, or a link in it leads out of it.
        OSError: If it cannot be made or written to.
    """
    if out.exists() and not out.is_dir():
        raise InvalidValueError(printable(out), "a folder", "a file", "name another one")
    is_report = _is_report(out)
    if not is_report:
        for name in (PAGE, *_TABLES, "configs"):
            if os.path.lexists(out / name):
                fix = "name another folder, or delete it"
                raise InvalidValueError(printable(out / name), "nothing, or a report", "another file", fix)
    elif leads_out(out / "configs", out):
        raise InvalidValueError(printable(out / "configs"), f"a folder in {printable(out)}", "a link that leads out")
    out.mkdir(parents=True, exist_ok=True)
    return is_report


def replace_files(out: Path, files: Mapping[str, str], is_report: bool) -> None:
    """Write the files of a report, the page last, and delete tables of an earlier one that have no successor.

    Args:
        out: The folder.
        files: Their content, by name.
        is_report: Whether there is an earlier report; if not, and a file cannot be written, none is left.

    Raises:
        OSError: If a file cannot be written, with its name.
    """
    names = [*(name for name in files if name != PAGE), PAGE]
    try:
        for name in names:
            (out / name).parent.mkdir(exist_ok=True)
            # names of folders may have bytes that are no UTF-8
            atomic_write(out / name, files[name].encode("utf-8", "backslashreplace"))
    except BaseException:
        for name in names if not is_report else ():
            (out / name).unlink(missing_ok=True)
        raise
    for name in _TABLES:
        if name not in files:
            (out / name).unlink(missing_ok=True)


def _is_report(out: Path) -> bool:
    try:
        return _MARK in read_bytes(out / PAGE, 2**30, inside=out)[-4096:]
    except StructuredError:
        return False
