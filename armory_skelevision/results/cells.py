"""One evaluation as it lies on disk, finished or not, and what its attack came to in passing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.records import Run, Scores

State = Literal["finished", "failed", "missing"]


@dataclass(frozen=True)
class Cell:
    """One evaluation: finished, failed, or not (yet) there.

    Attributes:
        name: What to call it: of its folder, or of a lone file.
        folder: Where it lies.
        state: "finished" means that its result was read.
        config: ARMORY's config of the run; empty where nothing tells it.
        run: Its result; None unless finished.
        seconds: Cost of the whole run on the clock, if anything tells it.
        versions: Of the packages it ran with, by name.
        weights: SHA-256 of its weight files by name, if a sweep recorded them.
        labels: Its place on each axis of a sweep, by the axis's name.
        command: That runs it again, if a sweep recorded it.
        hash: Of its config and versions, likewise.
        log_end: Last lines of the log of a run that did not finish.
        steps: Set on what a longer attack recorded in passing: after so many steps; see `with_checkpoints`.
    """

    name: str
    folder: Path
    state: State
    config: Mapping[str, Any] = field(default_factory=dict)
    run: Run | None = None
    seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    hash: str = ""
    log_end: str = ""
    steps: int | None = None


def with_checkpoints(cell: Cell) -> list[Cell]:
    """A cell, and a cell for each number of steps at which its attack recorded (or was to record) the mean IoU.

    They are what runs of so many steps would have given, so tables and curves need not know the difference.
    """
    attack = cell.config.get("attack")
    kwargs = attack.get("kwargs") if isinstance(attack, dict) else None
    if not isinstance(attack, dict) or not isinstance(kwargs, dict):
        return [cell]
    asked = kwargs.get("checkpoints")
    wanted = cell.run.checkpoints if cell.run else asked if isinstance(asked, list) else ()
    return [
        cell,
        *(
            replace(
                cell,
                name=f"{cell.name} after {steps} steps",
                config={**cell.config, "attack": {**attack, "kwargs": {**kwargs, "max_iter": steps}}},
                run=_after(cell.run, steps) if cell.run else None,
                seconds=None,
                steps=steps,
            )
            for steps in wanted
            if isinstance(steps, int) and steps != kwargs.get("max_iter")
        ),
    ]


def _after(run: Run, steps: int) -> Run:
    ious = run.checkpoints[steps]
    return replace(run, adversarial=Scores({METRIC: math.fsum(ious) / len(ious)}, {METRIC: ious}), checkpoints={})
