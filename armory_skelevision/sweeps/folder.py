"""A sweep's folder: what the sweep may write there, and which sweeps may use it at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from armory_skelevision.io import atomic_write, leads_out, printable, read_bytes, read_object
from armory_skelevision.io.locking import LOCK
from armory_skelevision.sweeps.run import CONFIG, GRID, LOG, RECORD, RESULT, RUNS, Run, read_record
from armory_skelevision.validation import InvalidValueError

_FIX = "name another folder, or delete it"


@contextlib.contextmanager
def claimed(out: Path, runs: Sequence[Run], grid: bytes, plan: bytes) -> Iterator[None]:
    """Make a sweep's folder, write what is planned, and keep sweeps of other grids out for as long as this one lasts.

    Args:
        out: The folder.
        runs: Those that are to be carried out.
        grid: The grid file, of which a copy is kept.
        plan: All runs, so that whoever reads the results has no need to derive them.

    Raises:
        InvalidValueError: If something there is not a sweep's, or a sweep of another grid is running. Nothing is
            written then.
        OSError: If the folder cannot be written to.
    """
    refuse_foreign_files(out, runs, grid)
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            atomic_write(out / RUNS, plan)
            atomic_write(out / GRID, grid)
        except BlockingIOError:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # at most until the other one has written its plan
            if read_bytes(out / RUNS) != plan:
                fix = "wait for it, or name another folder"
                raise InvalidValueError(printable(out), "a folder for this grid", "a sweep of another", fix) from None
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def refuse_foreign_files(out: Path, runs: Sequence[Run], grid: bytes) -> None:
    """Refuse a folder with files that a sweep would write over, but did not make (`InvalidValueError`)."""
    if out.exists() and not out.is_dir():
        raise InvalidValueError(printable(out), "a folder", "a file", "name another one")
    if os.path.lexists(out / RUNS):
        plan = read_object(out / RUNS)
        if not {"grid", "runs"} <= plan.keys():
            raise InvalidValueError(printable(out / RUNS), "the runs of a sweep", "another file", _FIX)
    elif os.path.lexists(out / GRID) and read_bytes(out / GRID) != grid:
        raise InvalidValueError(printable(out / GRID), "a copy of the grid, or nothing", "another file", _FIX)
    for run in runs:
        folder = out / run.name
        if leads_out(folder, out):
            raise InvalidValueError(printable(folder), f"a folder in {printable(out)}", "a link that leads out of it")
        if os.path.lexists(folder) and not _is_of_a_sweep(folder):
            raise InvalidValueError(printable(folder), "the folder of a run, or nothing", "other files", _FIX)


def _is_of_a_sweep(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    taken = any(os.path.lexists(folder / name) for name in (CONFIG, RECORD, RESULT, LOG))
    return not taken or (folder / LOCK).exists() or {"hash", "state"} <= (read_record(folder) or {}).keys()
