"""Carries out one planned run: its config into its folder, ARMORY on it, then the result and the record."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.evaluation.runner import read_log, run_config
from armory_skelevision.io import atomic_write, hash_file, leads_out, locked
from armory_skelevision.sweeps.run import CONFIG, LOG, RECORD, RESULT, Run, hash_weights, is_finished, versions
from armory_skelevision.weights import resolve as weights

_LOG_LINES = 20
_PATCHES = "patch_[0-9]*.*"


class Ended(NamedTuple):
    """A run that an engine is done with."""

    run: Run
    error: str | None
    """Why it has no result; None where it has one, of now or of earlier."""


def execute(run: Run, out: Path, environment: Mapping[str, str], stop: threading.Event | None = None) -> str | None:
    """Carry out a run, unless its folder holds its result already.

    Args:
        run: The run.
        out: The sweep's folder, in which the run has its own; made if absent.
        environment: Variables beside those of this process.
        stop: Ends the run when set.

    Returns:
        Why it failed, which its record has too; None if there is a result.

    Raises:
        BlockingIOError: If another sweep is carrying it out.
        StoppedError: If ``stop`` was set. There is no record then.
    """
    folder = out / run.name
    with locked(folder) as lock:
        if is_finished(run, folder):
            return None
        config = _with_export_folder(run.config, folder)
        for old in (folder / RECORD, folder / RESULT, folder / LOG, *_exported_patches(config, folder)):
            old.unlink(missing_ok=True)
        atomic_write(folder / CONFIG, format_config(config).encode("utf-8"))
        name = f"sweep_{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]}"
        log = folder / LOG
        began = time.monotonic()
        outcome: dict[str, Any] = {"state": "finished"}
        try:
            _check_weights(run)
            # all processes of the run keep the lock open
            result = run_config(
                folder / CONFIG, *run.options, log=log, environment=environment, name=name, keep_open=[lock], stop=stop
            )
            _collect_outputs(result, folder)
        except (OSError, RuntimeError) as error:
            outcome = {"state": "failed", "error": str(error), "log_end": read_log(log)[-_LOG_LINES:]}
        _write_record(run, folder, time.monotonic() - began, outcome)
        return outcome.get("error")


def _with_export_folder(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config with the attack's relative "export" below the run's folder, so that no two runs share it."""
    attack = config.get("attack") or {}
    kwargs = attack.get("kwargs") or {}
    if not isinstance(kwargs.get("export"), str):
        return dict(config)
    export = os.fspath(folder.absolute() / kwargs["export"])
    return {**config, "attack": {**attack, "kwargs": {**kwargs, "export": export}}}


def _exported_patches(config: Mapping[str, Any], folder: Path) -> list[Path]:
    """What an earlier attempt at this run exported below its folder; the attack would refuse to replace it."""
    export = ((config.get("attack") or {}).get("kwargs") or {}).get("export")
    if not isinstance(export, str) or leads_out(Path(export), folder):
        return []
    return list(Path(export).glob(_PATCHES))


def _check_weights(run: Run) -> None:
    """Refuse a run of ours whose weights are missing: ARMORY would first ask its store on the network for them."""
    if str(run.config["model"]["module"]).startswith("armory_skelevision"):
        for key, name in weights.named_weights(run.config).items():
            weights.resolve(name, by_armory=key.startswith("model"))


def _collect_outputs(result: Path, folder: Path) -> None:
    """Move a run's result, and what else it exported, from ARMORY's folder into the run's."""
    for part in result.parent.iterdir():
        if part.is_dir():
            if (folder / part.name).is_symlink():
                (folder / part.name).unlink()
            shutil.rmtree(folder / part.name, ignore_errors=True)
            shutil.move(part, folder / part.name)
    atomic_write(folder / RESULT, result.read_bytes())
    shutil.rmtree(result.parent)


def _write_record(run: Run, folder: Path, seconds: float, outcome: Mapping[str, Any]) -> None:
    finished = {"result": hash_file(folder / RESULT)} if outcome["state"] == "finished" else {}
    record = {
        "labels": run.labels,
        "values": run.values,
        "hash": run.hash,
        "versions": versions(),
        "weights": hash_weights(run),
        "seconds": round(seconds, 1),
        "command": shlex.join(["armory", "run", os.fspath(folder / CONFIG), "--no-docker", *run.options]),
        **finished,
        **outcome,
    }
    atomic_write(folder / RECORD, (json.dumps(record, indent=4, ensure_ascii=False) + "\n").encode("utf-8"))
