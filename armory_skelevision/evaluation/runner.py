"""One evaluation as `armory run` does it, from Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

# ARMORY and TensorFlow say these on every start; whoever wants to read them sets the variables.
_QUIET = {
    "PYTHONWARNINGS": "ignore::UserWarning:armory.paths",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


Call = Callable[[list[str], Mapping[str, str]], int]
"""Runs a command in an environment and returns its exit code."""


def _call(command: list[str], environment: Mapping[str, str]) -> int:
    return subprocess.run(command, env=environment, check=False).returncode


def run_config(config: str | os.PathLike[str], *options: str, call: Call = _call) -> Path:
    """Run `armory run CONFIG --no-docker` in a process of its own and return the result file.

    What ARMORY says goes where this process's output goes. ARMORY asks nothing: without a configuration of the user's
    (`~/.armory/config.json`) it takes its default folders below `~/.armory`, and never writes such a configuration.

    Args:
        config: The JSON file.
        options: Further options of `armory run`, such as "--check" or "--num-eval-batches=2".
        call: How the process is run. If it raises, what the run has left in ARMORY's folders by then is deleted.

    Raises:
        FileNotFoundError: If there is no such config.
        RuntimeError: If ARMORY fails; its own messages have been printed by then.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f"no config at {config}")
    # A name of its own for the run's folder, so that its result is found whatever else runs at the same time.
    name = f"{Path(config).stem}_{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            _python_without_blanks(Path(scratch)),
            *("-m", "armory", "run", os.fspath(config), "--no-docker", "--output-dir", name),
            *options,
        ]
        try:
            code = call(command, {**_QUIET, **os.environ})
        except BaseException:
            for left in (folder for kind in ("output_dir", "tmp_dir") for folder in _folder(kind).glob(f"{name}_*")):
                shutil.rmtree(left, ignore_errors=True)
            raise
    results = sorted(_folder("output_dir").glob(f"{name}_*/*.json"))
    if code != 0 or len(results) != 1:
        raise RuntimeError(f"`armory run {config}` failed with exit code {code}; see its messages above")
    return results[0]


def _folder(kind: str) -> Path:
    from armory.paths import HostPaths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no configuration, which is no fault
        return Path(getattr(HostPaths(), kind))


def _python_without_blanks(scratch: Path) -> str:
    """This interpreter by a path that ARMORY can put unquoted into a shell command, by way of a link if need be."""
    if " " not in sys.executable:
        return sys.executable
    link = scratch / "environment"
    link.symlink_to(sys.prefix, target_is_directory=True)
    return os.fspath(link / "bin" / Path(sys.executable).name)
