"""Atomic writes and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from pathlib import Path

from armory_skelevision.io.reading import open_regular, printable
from armory_skelevision.validation import InvalidValueError


def atomic_write(path: str | os.PathLike[str], data: bytes, new: bool = False) -> None:
    """Write a file under a temporary name beside it, then rename it: readers never see an incomplete file.

    Args:
        path: The file. Its folder must exist; an existing file is replaced.
        data: Its content.
        new: Whether an existing file, even one that appears in the meantime, is an error instead of being replaced.

    Raises:
        OSError: If it cannot be written, with the name of ``path``; an existing file is then unchanged.
    """
    target = Path(path)
    temporary = target.with_name(f".{uuid.uuid4().hex[:8]}.part")
    try:
        temporary.write_bytes(data)
        if new:
            _rename_new(temporary, target)
        else:
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # the user knows nothing of the temporary name
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise


def _rename_new(temporary: Path, target: Path) -> None:
    """Rename a file unless there is one of that name, in one step where the file system has hard links."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))  # whoever comes later finds it taken
        os.replace(temporary, target)
    else:
        temporary.unlink()


def refuse_existing(
    target: str | os.PathLike[str], setting: str | None = None, fix: str = "delete or rename it first"
) -> None:
    """Refuse to write over an existing file, or over a link.

    Args:
        target: The file.
        setting: What names it, for the message; None for the file itself.
        fix: What to do instead.

    Raises:
        InvalidValueError: If there is such a file.
    """
    if os.path.lexists(target):
        error = InvalidValueError(printable(target), "a new file", "an existing one", fix)
        raise error if setting is None else error.named_by(setting)


def hash_file(path: str | os.PathLike[str], max_bytes: int | None = None) -> str:
    """The SHA-256 of a regular file, in hexadecimal; ``max_bytes`` and errors are those of `open_regular`."""
    with open_regular(path, max_bytes) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
