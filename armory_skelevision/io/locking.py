"""Locks of folders, against other processes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
"""Name of the empty file that is locked. It stays when the lock is released."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Make a folder and hold its lock. The system releases it when the process ends, however it ends.

    Gives the descriptor of the lock, which is held for as long as that is open in any process.

    Raises:
        BlockingIOError: If another process holds it, with the name of the folder.
        OSError: If the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(errno.EAGAIN, "another process is using this folder", str(folder)) from None
        yield descriptor
    finally:
        os.close(descriptor)
