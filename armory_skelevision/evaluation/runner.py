"""One evaluation by ARMORY from Python: examples, sweeps and submissions all run it here."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from armory_skelevision.evaluation.process import Limits, run_process
from armory_skelevision.io import atomic_write
from armory_skelevision.validation import MissingFileError

# Warnings of ARMORY and TensorFlow at every start; a variable that the user has set stays.
_QUIET = {
    "PYTHONWARNINGS": "ignore::UserWarning:armory.paths",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
_ERROR = re.compile(r"\s*(\w+\.)*\w*(Error|Exception|Interrupt)\b")
_NO_MEMORY = ("MemoryError", "bad_alloc", "can't allocate memory", "Cannot allocate memory")
_LONGEST_LINE = 300  # ARMORY repeats a failed command with its whole config, encoded


class RunFailedError(RuntimeError):
    """ARMORY ended without a result; the message is the last error that it reported."""


def run_config(
    config: str | os.PathLike[str],
    *options: str,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    name: str | None = None,
    keep_open: Sequence[int] = (),
    stop: threading.Event | None = None,
) -> Path:
    """Run `armory run CONFIG --no-docker` in a process of its own and return the result file.

    ARMORY asks nothing: without a configuration of the user's (`~/.armory/config.json`) it takes its default folders
    below `~/.armory`, and never writes such a configuration. If the run is ended early, what it has left in ARMORY's
    folders by then is deleted.

    Args:
        config: The JSON file.
        options: Further options of `armory run`, such as "--check" or "--num-eval-batches=2".
        environment: Variables beside those of this process.
        name: Name of the run's folder among ARMORY's outputs. What an earlier run of this name has left is deleted
            first, so the caller has to see to it that none is still running. None for a name that is used once.
        log, keep_open, stop: As in `run_process`.

    Raises:
        MissingFileError: If there is no such config.
        RunFailedError: If ARMORY fails.
        StoppedError: If ``stop`` was set.
    """
    if not Path(config).is_file():
        raise MissingFileError(os.fspath(config), "an ARMORY config", "no such file")
    name = name or f"{Path(config).stem}_{uuid.uuid4().hex[:8]}"
    _delete_outputs(name)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ("-m", "armory", "run", os.fspath(config), "--no-docker", "--output-dir", name, *options)
        command = [_python_without_blanks(Path(scratch)), *arguments]
        try:
            variables = {**_QUIET, **os.environ, **(environment or {})}
            run_armory(command, variables, log=log, keep_open=keep_open, stop=stop)
        except BaseException as error:
            if not isinstance(error, RunFailedError):
                _delete_outputs(name)
            raise
    return find_result(armory_folder("output_dir"), f"{name}_*/*.json")


def run_armory(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    keep_open: Sequence[int] = (),
    stop: threading.Event | None = None,
) -> None:
    """Run a command of ARMORY; the arguments are those of `run_process`.

    Raises:
        RunFailedError: If it fails or reaches a limit: says which limit, or repeats its last error.
        StoppedError: If ``stop`` was set.
    """
    try:
        code = run_process(command, environment, log=log, folder=folder, limits=limits, keep_open=keep_open, stop=stop)
    except TimeoutError as error:
        raise RunFailedError(str(error)) from None
    finally:
        _strip_ansi(log)
    if code == 0:
        return
    lines = read_log(log)
    if limits is not None and any(sign in line for line in lines for sign in _NO_MEMORY):
        raise RunFailedError(f"out of memory: {limits.memory_gb:g} GB")
    errors = [line for line in lines if _ERROR.match(line)]
    if errors:
        raise RunFailedError(errors[-1].strip())
    last = "see its messages above" if log is None else lines[-1] if lines else "it wrote no message"
    raise RunFailedError(f"ARMORY failed with exit code {code}: {last}")


def find_result(folder: Path, pattern: str) -> Path:
    """The one result file below ARMORY's folder of outputs (`RunFailedError` if there is none, or more than one)."""
    results = sorted(folder.glob(pattern))
    if len(results) != 1:
        raise RunFailedError(f"ARMORY left {len(results)} result files in {folder}, expected 1")
    return results[0]


def read_log(log: Path | None) -> list[str]:
    """The lines of a log that are not blank, cut where they are too long; [] without a log."""
    if log is None or not log.is_file():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.rstrip()[:_LONGEST_LINE] for line in lines if line.strip()]


def _strip_ansi(log: Path | None) -> None:
    """Take out of a log the colours that ARMORY gives its messages, terminal or not."""
    if log is not None and log.is_file():
        text = log.read_text(encoding="utf-8", errors="replace")
        atomic_write(log, re.sub(r"\x1b\[[0-9;]*m", "", text).encode("utf-8"))


def _delete_outputs(name: str) -> None:
    for kind in ("output_dir", "tmp_dir"):
        for left in armory_folder(kind).glob(f"{name}_*"):
            shutil.rmtree(left, ignore_errors=True)


def armory_folder(kind: str) -> Path:
    """One of ARMORY's folders on the host, such as "output_dir"; its default where the user has configured none."""
    from armory.paths import HostPaths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a configuration ARMORY has defaults
        return Path(getattr(HostPaths(), kind))


def _python_without_blanks(scratch: Path) -> str:
    """This interpreter by a path that ARMORY can put unquoted into a shell command, by way of a link if need be."""
    if " " not in sys.executable:
        return sys.executable
    link = scratch / "environment"
    link.symlink_to(sys.prefix, target_is_directory=True)
    return os.fspath(link / "bin" / Path(sys.executable).name)
