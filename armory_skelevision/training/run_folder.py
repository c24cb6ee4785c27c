"""The folder of a run: held by one training at a time, and never overwritten without being told to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from armory_skelevision.io import locked, printable
from armory_skelevision.validation import InvalidValueError

WEIGHTS, CARD, CHART, CURVES = "weights.safetensors", "card.md", "curves.svg", "curves.csv"
CHECKPOINTS = "resume-step=*.ckpt"

_RESULTS = (WEIGHTS, CARD, CHART, CURVES, "best-step=*.ckpt")  # the last by versions until 1.0
_UNFINISHED = f".{'[0-9a-f]' * 8}.part"  # what `atomic_write` was writing when it was killed


@contextmanager
def open_folder(folder: Path, resume: bool, overwrite: bool) -> Iterator[None]:
    """Make a run's folder, hold its lock, and check that the training may write there.

    Raises:
        BlockingIOError: If another training has the folder.
        InvalidValueError: If it holds a run that is neither resumed nor overwritten, or results to resume without a
            checkpoint; its ``key`` is the folder. Also for a folder in the place of a file, which is then the ``key``.
    """
    key = printable(folder)
    if resume and overwrite:
        raise InvalidValueError("--resume", "one of --resume and --overwrite", "both")
    if folder.exists() and not folder.is_dir():
        raise InvalidValueError(key, "a folder for the run", "another kind of file", "set another folder")
    with locked(folder):
        for leftover in folder.glob(_UNFINISHED):
            leftover.unlink()
        checkpoints, results = _find(folder, CHECKPOINTS), _find(folder, *_RESULTS)
        _refuse_folders([*checkpoints, *results])
        found = ", ".join(sorted(path.name for path in [*checkpoints, *results]))
        if found and not (resume or overwrite):
            fix = "continue it with --resume, replace it with --overwrite, or set another folder"
            raise InvalidValueError(key, "a folder without a run", found, fix)
        if resume and any(path.name != CURVES for path in results) and not checkpoints:
            fix = "replace it with --overwrite, or set another folder"
            raise InvalidValueError(key, "a run with a checkpoint to resume from", found, fix)
        yield


def remove_run(folder: Path) -> None:
    """Remove what a training has written into a folder."""
    for path in _find(folder, CHECKPOINTS, *_RESULTS):
        path.unlink()


def check_inputs(files: Mapping[str, Path], folder: Path) -> None:
    """Refuse files to read, by setting, that a training in a folder would replace (`InvalidValueError`)."""
    for name, path in files.items():
        real = path.resolve()
        if real.parent == folder.resolve() and any(fnmatch(real.name, each) for each in (CHECKPOINTS, *_RESULTS)):
            raise InvalidValueError(name, "a file that the run does not replace", printable(path), "set another folder")


def _refuse_folders(files: Sequence[Path]) -> None:
    for path in files:
        if path.is_dir():
            fix = "remove it, or set another folder"
            raise InvalidValueError(printable(path), "a file of the run, or nothing", "a folder", fix)


def _find(folder: Path, *patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern)]
