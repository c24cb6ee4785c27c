"""A sweep from its grid file to its last cell: what is done already, what is to run, how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from armory_skelevision.io import atomic_write
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.local_engine import run_local
from armory_skelevision.sweeps.mlflow_log import log_cell
from armory_skelevision.sweeps.process import DONE, FAILED, Ended
from armory_skelevision.sweeps.run import Cell, is_finished, read_record


class State(NamedTuple):
    """How a cell stands."""

    cell: Cell
    state: str
    """"finished", "failed", "outdated" (finished with another config, other versions or weights) or "to run"."""
    seconds: float | None
    """What it took, where it is known."""


class Failure(NamedTuple):
    """A cell that has no result."""

    cell: Cell
    error: str


def survey(grid: Path, out: Path) -> list[State]:
    """How each cell of a grid stands; writes nothing.

    Raises:
        FileNotFoundError, ValueError: As `read_grid`.
    """
    return [_state_of(cell, out / cell.name) for cell in read_grid(grid)]


def estimate_seconds(states: Sequence[State], jobs: int) -> float | None:
    """How long the cells that are not finished will take, after what the others took; None where none is finished."""
    took = [state.seconds for state in states if state.state == "finished" and state.seconds is not None]
    left = sum(state.state != "finished" for state in states)
    return left * sum(took) / len(took) / min(jobs, max(left, 1)) if took else None


def run_sweep(
    grid: Path, out: Path, engine: Literal["local", "ray"] = "local", jobs: int = 1, mlflow: bool = False
) -> list[Failure]:
    """Run all cells of a grid that are not finished; failed ones are tried again.

    Args:
        grid: The grid file; a copy is kept as ``grid.json``.
        out: The sweep's folder; made if absent.
        engine: Where cells are run.
        jobs: How many at a time.
        mlflow: Log what finishes to MLflow, too.

    Returns:
        The cells that failed, in the order in which they did.
    """
    _install_weights()
    states = survey(grid, out)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "grid.json", grid.read_bytes())
    left = [state.cell for state in states if state.state != "finished"]
    run_cells = _engine(engine)
    failures = []
    done = len(states) - len(left)
    with (
        tqdm(total=len(states), initial=done, unit="cell", desc="Sweep", disable=None, smoothing=0) as bar,
        closing(run_cells(left, out, jobs)) as events,
    ):
        for ended in events:
            if ended is None:
                bar.refresh()
                continue
            bar.update()
            if ended.code != DONE:
                failures.append(_failure_of(ended, out))
                bar.set_postfix(failed=len(failures))
            elif mlflow:
                log_cell(ended.cell, out / ended.cell.name, grid.stem)
    return failures


def _state_of(cell: Cell, folder: Path) -> State:
    record = read_record(folder)
    if record is None:
        return State(cell, "to run", None)
    if is_finished(cell, folder):
        return State(cell, "finished", float(record["seconds"]))
    return State(cell, "failed" if record.get("state") == "failed" else "outdated", None)


def _engine(name: str) -> Callable[[Sequence[Cell], Path, int], Generator[Ended | None]]:
    if name == "ray":
        from armory_skelevision.sweeps.ray_engine import run_on_ray

        return run_on_ray
    return run_local


def _install_weights() -> None:
    """Put the packaged weights in place once, before many runs do it at the same time."""
    from armory_skelevision.weights.packaged import install_weights
    from armory_skelevision.weights.resolve import saved_model_dir

    install_weights(saved_model_dir())


def _failure_of(ended: Ended, out: Path) -> Failure:
    record = read_record(out / ended.cell.name) if ended.code == FAILED else None
    return Failure(ended.cell, str((record or {}).get("error", f"its process ended with {ended.code}")))


def describe(states: Sequence[State], jobs: int) -> str:
    """A line for each cell, and two for all: what `--dry-run` prints."""
    lines = [f"{state.state:9} {state.cell.name}" + _took(state.seconds) for state in states]
    counts = {name: sum(state.state == name for state in states) for name in ("finished", "failed", "outdated")}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "finished")
    lines.append(f"{len(states)} cells: {told}, {len(states) - counts['finished']} to run")
    seconds = estimate_seconds(states, jobs)
    if counts["finished"] < len(states):
        unknown = "no cell is finished yet that the time left could be estimated from"
        lines.append(unknown if seconds is None else f"some {_duration(seconds)} left, {jobs} at a time")
    return "\n".join(lines)


def _took(seconds: float | None) -> str:
    return "" if seconds is None else f"  {_duration(seconds)}"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds:.0f} s"
