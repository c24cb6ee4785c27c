"""Loads evaluations from result files, folders of ARMORY's outputs, and whole sweeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from armory_skelevision.results.records import RunResult
from armory_skelevision.results.result_file import read_object, read_run
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError

LOG_LINES = 12
"""Lines kept of the log of a run that failed."""

PLAN, RECORD = "runs.json", "run.json"
"""What a sweep writes before it runs anything, and what it writes into each run's folder at its end."""

_RESULT = re.compile(r".+_\d{9,}\.json")  # as ARMORY names its results: scenario and seconds since 1970
_ELAPSED = re.compile(r"[\d-]{10} [\d:]{8}\s+((?:\d+[dhms])+)\s")
_ERROR = re.compile(r"^Traceback |^\S+ \S+\s+\w+ (ERROR|CRITICAL) ", re.MULTILINE)
_OPTION = re.compile(r"--(check|skip-attack|skip-benign|skip-misclassified|num-eval-batches)(?:=(\d+))?")
Content = TypeVar("Content")

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class LoadedRuns:
    """What was found.

    Attributes:
        runs: All evaluations, in the order of the paths and by name.
        problems: One for each file that could not be read.
        grids: The grid of each sweep, by the sweep's folder.
    """

    runs: tuple[RunResult, ...]
    problems: tuple[StructuredError, ...]
    grids: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)


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
            found: Iterable[RunResult] = _read_result(path, path.stem, problems)
        elif (path / PLAN).is_file():
            plan = _read_object(path / PLAN, "the runs of a sweep", problems)
            grids[path] = _mapping(plan.get("grid"))
            found = _read_sweep(path, plan.get("runs"), problems)
        elif (path / RECORD).is_file():
            found = [_read_sweep_run(path, {}, problems)]
        else:
            found = [run for folder in (path, *_folders(path)) for run in _read_outputs(folder, problems)]
        found = list(found)
        if not found and not any(str(path) in problem.key for problem in problems):
            problems.append(InvalidValueError(str(path), "results of ARMORY, here or one folder below", "none"))
        runs.extend(found)
    return LoadedRuns(tuple(runs), tuple(problems), grids)


def elapsed_seconds(log: Path) -> float | None:
    """How long a run had taken by the last line of ARMORY's log (``… 2m9s METRIC …``); None without one."""
    found = [_ELAPSED.match(line) for line in _read_log(log).splitlines()]
    last = next((match for match in reversed(found) if match), None)
    if last is None:
        return None
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", last[1])))


def _read_result(path: Path, name: str, problems: list[StructuredError]) -> Iterator[RunResult]:
    run = _try(read_run, path, problems)
    if run is not None:
        yield replace(run, name=name, seconds=elapsed_seconds(path.parent / "armory-log.txt"))


def _read_outputs(folder: Path, problems: list[StructuredError]) -> Iterator[RunResult]:
    """A folder that one run of ARMORY left: its results, or a run that ended without any."""
    results = sorted(path for path in folder.glob("*.json") if _RESULT.fullmatch(path.name))
    for path in results:
        yield from _read_result(path, folder.name if len(results) == 1 else f"{folder.name}/{path.stem}", problems)
    log = folder / "armory-log.txt"
    if not results and log.is_file():
        failed = _ERROR.search(_read_log(log))  # without an error, it may still be running
        state = {"state": "failed" if failed else "missing", "seconds": elapsed_seconds(log)}
        yield RunResult(folder.name, folder, log_end=_log_end(log), **state)  # type: ignore[arg-type]


def _read_sweep(sweep: Path, planned: Any, problems: list[StructuredError]) -> Iterator[RunResult]:
    """All runs of a sweep: those that it planned, and those that an earlier plan left in its folder."""
    plans = planned if isinstance(planned, list) else []
    by_name = {str(plan.get("name")): plan for plan in plans if isinstance(plan, dict)}
    left = [path.name for path in _folders(sweep) if any((path / name).is_file() for name in (RECORD, "config.json"))]
    for name in dict.fromkeys([*by_name, *left]):
        yield _read_sweep_run(sweep / name, by_name.get(name, {}), problems)


def _read_sweep_run(folder: Path, plan: Mapping[str, Any], problems: list[StructuredError]) -> RunResult:
    """A run of a sweep. Whether it finished is decided by its result, not by its record alone.

    Args:
        folder: The run's; need not exist.
        plan: What the sweep planned there; {} if unknown.
        problems: Receives one item for each file that cannot be read.
    """
    record = _read_object(folder / RECORD, "the record of a sweep's run", problems)
    config = _read_object(folder / "config.json", "a config", problems) or _mapping(plan.get("config"))
    failed = record.get("state") == "failed"
    result = folder / "result.json"
    read = _try(read_run, result, problems) if result.is_file() and not failed else None
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
    found = _try(lambda path: read_object(path, what), path, problems) if path.is_file() else None
    return found or {}


def _try(read: Callable[[Path], Content], path: Path, problems: list[StructuredError]) -> Content | None:
    """What a file contains; None if it cannot be read, which is then a problem."""
    try:
        return read(path)
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
    matches = [match for option in options if isinstance(option, str) and (match := _OPTION.fullmatch(option))]
    given = {match[1].replace("-", "_"): int(match[2]) if match[2] else True for match in matches}
    if "check" in given:
        given["check_run"] = given.pop("check")
    return {**config, "scenario": {**scenario, "kwargs": {**_mapping(scenario.get("kwargs")), **given}}}


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
