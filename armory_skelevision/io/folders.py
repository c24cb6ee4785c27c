"""New folders that are there as a whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from armory_skelevision.io.reading import printable
from armory_skelevision.validation import InvalidValueError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when the block ends, and is deleted if the block fails.

    Args:
        target: Its name; parents are made if need be. An empty folder of this name is replaced.

    Raises:
        InvalidValueError: If there is something of this name already, save an empty folder.
        OSError: If it cannot be made.
    """
    refuse_filled(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as temporary:
        folder = Path(temporary) / "new"  # with the usual permissions, which the temporary one has not
        folder.mkdir()
        yield folder
        refuse_filled(target)
        os.rename(folder, target)


def refuse_filled(target: Path) -> None:
    """Refuse a name that is taken by anything but an empty folder (`InvalidValueError`)."""
    is_empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if os.path.lexists(target) and not is_empty:
        fix = "name another one, or delete it"
        raise InvalidValueError(printable(target), "a new or empty folder", "something that is already there", fix)
