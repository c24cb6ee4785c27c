"""Loads evaluations from result files, folders of ARMORY's outputs, and whole sweeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from armory_skelevision.io import check_depth, hash_file, leads_out, list_folder, printable, read_object, read_tail
from armory_skelevision.results.labels import as_text
from armory_skelevision.results.records import SIDES, RunResult, State
from armory_skelevision.results.result_file import read_run
from armory_skelevision.validation import InvalidValueError, MissingFileError, Range, StructuredError, accepts

LOG_LINES = 12
"""Lines kept of the log of a run that failed."""

PLAN, RECORD = "runs.json", "run.json"
"""What a sweep writes before it runs anything, and what it writes into each run's folder at its end."""

MAX_LOG = 4 * 2**20
"""Bytes of a log's end that are looked at."""

Percent, Seconds = Annotated[float, Range(0, 100)], Annotated[float, Range(0, 1e9)]

# As ARMORY names its results, by scenario and seconds since 1970; and as `EvaluationResult.save` does.
_RESULT = re.compile(r".+_\d{9,}\.json|result\.json")
_ELAPSED = re.compile(r"[\d-]{10} [\d:]{8}\s+((?:\d{1,6}[dhms])+)\s")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_ERROR = re.compile(r"^Traceback |^\S+ \S+\s+\w+ (ERROR|CRITICAL) ", re.MULTILINE)
_OPTION = re.compile(r"--(check|skip-attack|skip-benign|skip-misclassified|num-eval-batches)(?:=([0-9]{1,9}))?")
Content = TypeVar("Content")
Problems = list[StructuredError]


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

    A file that cannot be read, or that is a link out of the folder that was given, is listed among the problems and
    left out; all others are read.

    Raises:
        MissingFileError: If a path does not exist.
    """
    runs: list[RunResult] = []
    problems: Problems = []
    grids: dict[Path, Mapping[str, Any]] = {}
    for path in paths:
        if not path.exists():
            raise MissingFileError(printable(path), "a result file or a folder", "nothing")
        known = len(problems)
        if not path.is_dir():
            found = _read_result(path, path.stem, path.parent, problems, given=True)
        elif (path / PLAN).is_file():
            plan = _read_object(path / PLAN, path, problems)
            grids[path] = _mapping(plan.get("grid"))
            found = _read_sweep(path, plan, problems)
        elif (path / RECORD).is_file():
            found = [_read_sweep_run(path, path, {}, problems)]
        else:
            folders = (path, *_folders(path, problems))
            found = [run for folder in folders for run in _read_outputs(folder, path, problems)]
        if not found and len(problems) == known:
            problems.append(InvalidValueError(printable(path), "results of ARMORY, here or one folder below", "none"))
        runs.extend(found)
    each_once = {str(problem): problem for problem in problems}
    return LoadedRuns(tuple(runs), tuple(each_once.values()), grids)


def elapsed_seconds(log: Path, inside: Path | None = None) -> float | None:
    """How long a run had taken by the last line of ARMORY's log (``… 2m9s METRIC …``); None without one."""
    found = [match for line in _read_log(log, inside).splitlines() if (match := _ELAPSED.match(line))]
    parts = re.findall(r"(\d+)([dhms])", found[-1][1]) if found else []
    return float(sum(int(count) * _SECONDS[unit] for count, unit in parts)) if parts else None


def _read_result(path: Path, name: str, root: Path, problems: Problems, given: bool = False) -> list[RunResult]:
    """A result file: one that was ``given`` itself, or one that must be in the folder ``root``, which was."""
    run = _try(partial(read_run, inside=None if given else root, requires_truth=False), path, problems)
    seconds = elapsed_seconds(path.parent / "armory-log.txt", root)
    return [replace(run, name=printable(name), root=root, seconds=seconds)] if run else []


def _read_outputs(folder: Path, root: Path, problems: Problems) -> list[RunResult]:
    """A folder that one run of ARMORY left: its results, or a run that ended without any."""
    children = _try(list_folder, folder, problems) or []
    results = [path for path in children if _RESULT.fullmatch(path.name)]
    names = [folder.name] if len(results) == 1 else [f"{folder.name}/{path.stem}" for path in results]
    log = folder / "armory-log.txt"
    if not results and log.is_file():
        text = _read_log(log, root)
        state: State = "failed" if _ERROR.search(text) else "missing"  # it may still be running
        seconds = elapsed_seconds(log, root)
        return [RunResult(printable(folder.name), folder, state, root=root, seconds=seconds, log_end=_end_of(text))]
    return [run for path, name in zip(results, names, strict=True) for run in _read_result(path, name, root, problems)]


def _read_sweep(sweep: Path, plan: Mapping[str, Any], problems: Problems) -> list[RunResult]:
    """All runs of a sweep: those that it planned, and those that an earlier plan left in its folder."""
    plans = {str(run.get("name")): run for run in _objects(plan.get("runs"))}
    for name in [name for name in plans if not _is_name(name)]:
        problems.append(InvalidValueError(f"{printable(sweep / PLAN)}: name", "the name of a folder", f"{name!r:.80}"))
        del plans[name]
    folders = _folders(sweep, problems)
    left = [path.name for path in folders if any((path / name).is_file() for name in (RECORD, "config.json"))]
    names = [name for name in dict.fromkeys([*plans, *left]) if not leads_out(sweep / name, sweep)]
    runs = [_read_sweep_run(sweep / name, sweep, plans.get(name, {}), problems) for name in names]
    cells = _read_published(printable(sweep / PLAN), _mapping(plan.get("grid")).get("published"), problems)
    return [replace(run, published=tuple(cell for cell in cells if _is_about(cell, run))) for run in runs]


def _is_name(name: str) -> bool:
    return name.isprintable() and name not in ("", ".", "..") and "/" not in name and len(name.encode()) <= 255


def _read_published(key: str, published: Any, problems: Problems) -> list[dict[str, Any]]:
    """Published numbers, each with its labels; those that are none are problems."""
    cells = _mapping(published).get("cells") or []
    right = []
    for cell in cells if isinstance(cells, list) else [cells]:
        numbers = [value for name, value in _mapping(cell).items() if name in SIDES]
        each = [number for value in numbers for number in (value.values() if isinstance(value, dict) else [value])]
        if isinstance(cell, dict) and all(accepts(Percent, number) for number in each):
            right.append(cell)
        else:
            expected = '"where", and numbers in per cent'
            problems.append(InvalidValueError(f"{key}: grid.published.cells", expected, f"{cell!r:.80}"))
    return right


def _is_about(cell: Mapping[str, Any], run: RunResult) -> bool:
    """Whether published numbers have the labels of a run."""
    where = cell.get("where")
    return isinstance(where, dict) and all(
        name in run.labels and _is_same(run.labels[name], label) for name, label in where.items()
    )


def _is_same(label: Any, other: Any) -> bool:
    """Whether two values of an axis are one: 1 and 1.0 are, 1 and true are not."""
    return as_text(label) == as_text(other) or (accepts(float, label) and accepts(float, other) and label == other)


def _read_sweep_run(folder: Path, root: Path, plan: Mapping[str, Any], problems: Problems) -> RunResult:
    """A run of a sweep, whose folder may be absent. Its result, not its record alone, decides whether it finished."""
    record = _read_object(folder / RECORD, root, problems)
    config = _read_object(folder / "config.json", root, problems) or _mapping(plan.get("config"))
    failed = record.get("state") == "failed"
    result = folder / "result.json"
    read = None if failed else _try(partial(_read_recorded, record=record, root=root), result, problems)
    run = read or RunResult("", folder, "failed" if failed or result.is_file() else "missing")
    seconds: Any = record.get("seconds")
    return replace(
        run,
        name=printable(folder.name),
        root=root,
        config=run.config or _with_options(config, plan.get("options")),
        seconds=float(seconds) if accepts(Seconds, seconds) else None,
        versions=_texts(record.get("versions")),
        weights=_texts(record.get("weights")),
        labels=_mapping(record.get("labels", plan.get("labels"))),
        command=str(record.get("command", "")),
        hash=str(record.get("hash", "")),
        log_end="" if run.is_finished else _explain_failure(record, folder, root),
    )


def _read_recorded(path: Path, record: Mapping[str, Any], root: Path) -> RunResult:
    """The result of a sweep's run, which must be the file that the run left."""
    run = read_run(path, inside=root)
    if record.get("result") not in (None, hash_file(path)):
        fix = "run the sweep again"
        raise InvalidValueError(printable(path), f"the file that {RECORD} is about", "another, or a changed one", fix)
    return run


def _read_object(path: Path, root: Path, problems: Problems) -> dict[str, Any]:
    """The object in a file; {} if it is not there, or cannot be read."""

    def read(path: Path) -> dict[str, Any]:
        content = read_object(path, inside=root)
        check_depth(printable(path), content)
        return content

    return _try(read, path, problems) or {}


def _try(read: Callable[[Path], Content], path: Path, problems: Problems) -> Content | None:
    """What a file contains; None if it is not there, or cannot be read, which is then a problem."""
    try:
        return read(path) if path.exists() else None
    except MissingFileError:
        return None  # removed in between, as by a sweep that begins the run anew
    except StructuredError as error:
        problems.append(error)
    return None


def _folders(path: Path, problems: Problems) -> list[Path]:
    """The folders in a folder; those elsewhere, to which links lead, are problems."""
    folders = [child for child in _try(list_folder, path, problems) or [] if child.is_dir()]
    for child in folders:
        if leads_out(child, path):
            got = "a link that leads out of it"
            problems.append(InvalidValueError(printable(child), f"a folder in {printable(path)}", got, "name it, too"))
    return [child for child in folders if not leads_out(child, path)]


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


def _explain_failure(record: Mapping[str, Any], folder: Path, root: Path) -> str:
    """The error that a sweep recorded, and the end of the log."""
    lines = record.get("log_end")
    log = "\n".join(map(str, lines)) if isinstance(lines, list) else _end_of(_read_log(folder / "log.txt", root))
    return "\n".join(part for part in (str(record.get("error", "")), log) if part)


def _end_of(log: str) -> str:
    return "\n".join(log.splitlines()[-LOG_LINES:])


def _read_log(log: Path, inside: Path | None) -> str:
    """The end of a log; "" where it cannot be read."""
    try:
        return read_tail(log, MAX_LOG, inside)
    except StructuredError:
        return ""
