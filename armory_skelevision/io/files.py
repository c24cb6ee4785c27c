"""Atomic writes and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from pathlib import Path


def atomic_write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it: readers never see an incomplete file.

    Args:
        path: The file. Its folder must exist; an existing file is replaced.
        data: Its content.

    Raises:
        OSError: If it cannot be written, with the name of ``path``; an existing file is then unchanged.
    """
    target = Path(path)
    temporary = target.with_name(f".{uuid.uuid4().hex[:8]}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # the user knows nothing of the temporary name
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise


def hash_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal (`OSError` if it cannot be read)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
