"""Loads evaluations from result files, folders of ARMORY's outputs, and whole sweeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from armory_skelevision.results.labels import as_text
from armory_skelevision.results.records import RunResult, State
from armory_skelevision.results.result_file import read_object, read_run
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError

LOG_LINES = 12
"""Lines kept of the log of a run that failed."""

PLAN, RECORD = "runs.json", "run.json"
"""What a sweep writes before it runs anything, and what it writes into each run's folder at its end."""

# As ARMORY names its results, by scenario and seconds since 1970; and as `EvaluationResult.save` does.
_RESULT = re.compile(r".+_\d{9,}\.json|result\.json")
_ELAPSED = re.compile(r"[\d-]{10} [\d:]{8}\s+((?:\d+[dhms])+)\s")
_ERROR = re.compile(r"^Traceback |^\S+ \S+\s+\w+ (ERROR|CRITICAL) ", re.MULTILINE)
_OPTION = re.compile(r"--(check|skip-attack|skip-benign|skip-misclassified|num-eval-batches)(?:=(\d+))?")
Content = TypeVar("Content")


class LoadedRuns(NamedTuple):
    """What was found."""

    runs: tuple[RunResult, ...]
    """All evaluations, in the order of the paths and by name."""
    problems: tuple[StructuredError, ...]
    """One for each file that could not be read."""
    grids: Mapping[Path, Mapping[str, Any]]
    """The grid of each sweep, by the sweep's folder."""


def load_runs(paths: Sequence[Path]) -> LoadedRuns:
    """Load evaluations from result files, folders of ARMORY's outputs (of one run or of many), and sweep folders.

    A file that cannot be read is listed among the problems and left out; all others are read.

    Raises:
        MissingFileError: If a path does not exist.
    """
    runs: list[RunResult] = []
    problems: list[StructuredError] = []
    grids: dict[Path, Mapping[str, Any]] = {}
    for path in paths:
        if not path.exists():
            raise MissingFileError(str(path), "a result file or a folder", "nothing")
        if path.is_file():
            found = _read_result(path, path.stem, problems)
        elif (path / PLAN).is_file():
            plan = _read_object(path / PLAN, "the runs of a sweep", problems)
            grids[path] = _mapping(plan.get("grid"))
            found = _read_sweep(path, plan, problems)
        elif (path / RECORD).is_file():
            found = [_read_sweep_run(path, {}, problems)]
        else:
            found = [run for folder in (path, *_folders(path)) for run in _read_outputs(folder, problems)]
        if not found and not any(str(path) in problem.key for problem in problems):
            problems.append(InvalidValueError(str(path), "results of ARMORY, here or one folder below", "none"))
        runs.extend(found)
    return LoadedRuns(tuple(runs), tuple(problems), grids)


def elapsed_seconds(log: Path) -> float | None:
    """How long a run had taken by the last line of ARMORY's log (``… 2m9s METRIC …``); None without one."""
    found = [match for line in _read_log(log).splitlines() if (match := _ELAPSED.match(line))]
    return float(pd.Timedelta(found[-1][1].replace("d", "D")).total_seconds()) if found else None


def _read_result(path: Path, name: str, problems: list[StructuredError]) -> list[RunResult]:
    run = _try(read_run, path, problems)
    return [replace(run, name=name, seconds=elapsed_seconds(path.parent / "armory-log.txt"))] if run else []


def _read_outputs(folder: Path, problems: list[StructuredError]) -> list[RunResult]:
    """A folder that one run of ARMORY left: its results, or a run that ended without any."""
    results = sorted(path for path in folder.glob("*.json") if _RESULT.fullmatch(path.name))
    names = [folder.name] if len(results) == 1 else [f"{folder.name}/{path.stem}" for path in results]
    log = folder / "armory-log.txt"
    if not results and log.is_file():
        state: State = "failed" if _ERROR.search(_read_log(log)) else "missing"  # it may still be running
        return [RunResult(folder.name, folder, state, seconds=elapsed_seconds(log), log_end=_log_end(log))]
    return [run for path, name in zip(results, names, strict=True) for run in _read_result(path, name, problems)]


def _read_sweep(sweep: Path, plan: Mapping[str, Any], problems: list[StructuredError]) -> list[RunResult]:
    """All runs of a sweep: those that it planned, and those that an earlier plan left in its folder."""
    plans = {str(run.get("name")): run for run in _objects(plan.get("runs"))}
    left = [path.name for path in _folders(sweep) if any((path / name).is_file() for name in (RECORD, "config.json"))]
    runs = [_read_sweep_run(sweep / name, plans.get(name, {}), problems) for name in dict.fromkeys([*plans, *left])]
    cells = _objects(_mapping(_mapping(plan.get("grid")).get("published")).get("cells"))
    return [replace(run, published=tuple(cell for cell in cells if _is_about(cell, run))) for run in runs]


def _is_about(cell: Mapping[str, Any], run: RunResult) -> bool:
    """Whether published numbers have the labels of a run."""
    where = cell.get("where")
    return isinstance(where, dict) and all(
        name in run.labels and as_text(run.labels[name]) == as_text(label) for name, label in where.items()
    )


def _read_sweep_run(folder: Path, plan: Mapping[str, Any], problems: list[StructuredError]) -> RunResult:
    """A run of a sweep, whose folder may be absent. Its result, not its record alone, decides whether it finished."""
    record = _read_object(folder / RECORD, "the record of a sweep's run", problems)
    config = _read_object(folder / "config.json", "a config", problems) or _mapping(plan.get("config"))
    failed = record.get("state") == "failed"
    result = folder / "result.json"
    read = None if failed else _try(read_run, result, problems)
    run = read or RunResult("", folder, "failed" if failed or result.is_file() else "missing")
    seconds = record.get("seconds")
    return replace(
        run,
        name=folder.name,
        config=run.config or _with_options(config, plan.get("options")),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        versions=_texts(record.get("versions")),
        weights=_texts(record.get("weights")),
        labels=_mapping(record.get("labels", plan.get("labels"))),
        command=str(record.get("command", "")),
        hash=str(record.get("hash", "")),
        log_end="" if run.is_finished else _explain_failure(record, folder),
    )


def _read_object(path: Path, what: str, problems: list[StructuredError]) -> dict[str, Any]:
    """The object in a file; {} if it is not there, or cannot be read."""
    return _try(partial(read_object, what=what), path, problems) or {}


def _try(read: Callable[[Path], Content], path: Path, problems: list[StructuredError]) -> Content | None:
    """What a file contains; None if it is not there, or cannot be read, which is then a problem."""
    try:
        return read(path) if path.is_file() else None
    except StructuredError as error:
        problems.append(error)
    except OSError as error:
        problems.append(InvalidValueError(str(path), "a readable file", str(error)))
    return None


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir())


def _with_options(config: dict[str, Any], options: Any) -> dict[str, Any]:
    """A config as a result file holds it: ARMORY writes the options of a run among the scenario's arguments."""
    scenario = config.get("scenario")
    if not isinstance(scenario, dict) or not isinstance(options, list):
        return config
    matches = [match for option in options if (match := _OPTION.fullmatch(str(option)))]
    given = {match[1].replace("-", "_"): int(match[2]) if match[2] else True for match in matches}
    if "check" in given:
        given["check_run"] = given.pop("check")
    return {**config, "scenario": {**scenario, "kwargs": {**_mapping(scenario.get("kwargs")), **given}}}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {name: str(text) for name, text in _mapping(value).items() if text is not None}


def _explain_failure(record: Mapping[str, Any], folder: Path) -> str:
    """The error that a sweep recorded, and the end of the log."""
    lines = record.get("log_end")
    log = "\n".join(map(str, lines)) if isinstance(lines, list) else _log_end(folder / "log.txt")
    return "\n".join(part for part in (str(record.get("error", "")), log) if part)


def _log_end(log: Path) -> str:
    return "\n".join(_read_log(log).splitlines()[-LOG_LINES:])


def _read_log(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
