"""Finds evaluations: in result files, folders of ARMORY's outputs, and whole sweeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armory_skelevision.results.cells import Cell, State
from armory_skelevision.results.expected import with_expected
from armory_skelevision.results.records import Run, read_object, read_run

LOG_LINES = 12
"""So much of a failed run's log is kept."""

_RESULT = re.compile(r".+_\d{9,}\.json")  # as ARMORY names its results: scenario and seconds since 1970
_ELAPSED = re.compile(r"[\d-]{10} [\d:]{8}\s+((?:\d+[dhms])+)\s")
_ERROR = re.compile(r"^Traceback |^\S+ \S+\s+\w+ (ERROR|CRITICAL) ", re.MULTILINE)
_OPTION = re.compile(r"--(check|skip-attack|skip-benign|skip-misclassified|num-eval-batches)(?:=(\d+))?")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Collection:
    """What was found.

    Attributes:
        cells: All evaluations, in the order given and by name.
        faults: One line for each file that could not be read.
        grids: What the grid.json of each sweep says, by the sweep's folder.
    """

    cells: tuple[Cell, ...]
    faults: tuple[str, ...]
    grids: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)


def collect(paths: Sequence[Path]) -> Collection:
    """Find evaluations: in result files, folders of ARMORY's outputs (of one run or of many), and sweep folders.

    A file that is broken is named among the faults and left out; the rest is read all the same.

    Raises:
        FileNotFoundError: If a path leads nowhere.
    """
    cells: list[Cell] = []
    faults: list[str] = []
    grids: dict[Path, Mapping[str, Any]] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no result file and no folder at {path}")
        if path.is_file():
            found: Iterable[Cell] = _read_result(path, path.stem, faults)
        elif (path / "grid.json").is_file():
            grids[path] = _read_or_note(path / "grid.json", "a grid", faults)
            begun = [_read_cell(folder, faults, grids[path].get("options")) for folder in _cell_folders(path)]
            found = with_expected(begun, grids[path], path)
        elif (path / "cell.json").is_file():
            found = [_read_cell(path, faults)]
        else:
            found = [cell for folder in (path, *_folders(path)) for cell in _read_outputs(folder, faults)]
        found = list(found)
        if not found and not any(str(path) in fault for fault in faults):
            faults.append(f"{path}: no result of ARMORY in this folder, nor in those right below it")
        cells.extend(found)
    return Collection(tuple(cells), tuple(faults), grids)


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir())


def _cell_folders(sweep: Path) -> list[Path]:
    return [path for path in _folders(sweep) if any((path / name).is_file() for name in ("cell.json", "config.json"))]


def _read_or_note(path: Path, what: str, faults: list[str]) -> dict[str, Any]:
    """What a file says, {} if it is not there or broken."""
    try:
        return read_object(path, what) if path.is_file() else {}
    except (ValueError, OSError) as error:
        faults.append(str(error))
        return {}


def _read_run_or_note(path: Path, faults: list[str]) -> Run | None:
    try:
        return read_run(path)
    except (ValueError, OSError) as error:
        faults.append(str(error))
        return None


def _read_result(path: Path, name: str, faults: list[str]) -> Iterator[Cell]:
    run = _read_run_or_note(path, faults)
    if run is not None:
        log = path.parent / "armory-log.txt"
        versions = {"armory-testbed": run.armory_version} if run.armory_version else {}
        yield Cell(name, path.parent, "finished", run.config, run, elapsed_seconds(log), versions)


def _read_outputs(folder: Path, faults: list[str]) -> Iterator[Cell]:
    """A folder that one run of ARMORY left: its results, or a run that ended without any."""
    results = sorted(path for path in folder.glob("*.json") if _RESULT.fullmatch(path.name))
    for path in results:
        yield from _read_result(path, folder.name if len(results) == 1 else f"{folder.name}/{path.stem}", faults)
    log = folder / "armory-log.txt"
    if not results and log.is_file():
        state: State = "failed" if _ERROR.search(_read_log(log)) else "missing"  # perhaps it still runs
        yield Cell(folder.name, folder, state, seconds=elapsed_seconds(log), log_end=_log_end(log))


def _read_cell(folder: Path, faults: list[str], options: Any = None) -> Cell:
    """A cell of a sweep. What it says of itself counts less than whether its result is there and can be read.

    Args:
        folder: The cell's.
        faults: Takes a line for each file that cannot be read.
        options: What the sweep's grid says of the options of `armory run`.
    """
    said = _read_or_note(folder / "cell.json", "a sweep's cell", faults)
    config = _read_or_note(folder / "config.json", "a config", faults)
    result = folder / "result.json"
    failed = said.get("state") == "failed"
    run = _read_run_or_note(result, faults) if result.is_file() and not failed else None
    seconds = said.get("seconds")
    state: State = "finished" if run else "failed" if failed or result.is_file() else "missing"
    return Cell(
        name=folder.name,
        folder=folder,
        state=state,
        config=run.config if run and run.config else _with_options(config, options),
        run=run,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        versions=_texts(said.get("versions")),
        weights=_texts(said.get("weights")),
        labels=_mapping(said.get("labels")),
        command=str(said.get("command", "")),
        hash=str(said.get("hash", "")),
        log_end="" if state == "finished" else _why_failed(said, folder),
    )


def _with_options(config: dict[str, Any], options: Any) -> dict[str, Any]:
    """A config as the result file would have it: ARMORY writes the options of a run among the scenario's arguments."""
    scenario = config.get("scenario")
    if not isinstance(scenario, dict) or not isinstance(options, list):
        return config
    matches = [match for option in options if isinstance(option, str) and (match := _OPTION.fullmatch(option))]
    given = {match[1].replace("-", "_"): int(match[2]) if match[2] else True for match in matches}
    if "check" in given:
        given["check_run"] = given.pop("check")
    return {**config, "scenario": {**scenario, "kwargs": {**_mapping(scenario.get("kwargs")), **given}}}


def _mapping(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _texts(said: Any) -> dict[str, str]:
    return {name: str(value) for name, value in _mapping(said).items() if value is not None}


def _why_failed(said: Mapping[str, Any], folder: Path) -> str:
    """What a sweep noted of the failure, and the log's end."""
    lines = said.get("log_end")
    log = "\n".join(map(str, lines)) if isinstance(lines, list) else _log_end(folder / "log.txt")
    return "\n".join(part for part in (str(said.get("error", "")), log) if part)


def elapsed_seconds(log: Path) -> float | None:
    """How long a run had taken by the last line of ARMORY's log (``… 2m9s METRIC …``); None without one."""
    found = [_ELAPSED.match(line) for line in _read_log(log).splitlines()]
    last = next((match for match in reversed(found) if match), None)
    if last is None:
        return None
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", last[1])))


def _log_end(log: Path) -> str:
    return "\n".join(_read_log(log).splitlines()[-LOG_LINES:])


def _read_log(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
