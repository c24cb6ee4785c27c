"""Evaluations of one model under one setting, put together over their seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from armory_skelevision.results.cells import Cell, with_checkpoints
from armory_skelevision.results.intervals import Estimate, estimate
from armory_skelevision.results.labels import BASELINE, Label, Setting, flatten, is_attacked, key_of, label_cells, say
from armory_skelevision.results.records import SIDES

_TOLERANCE = 0.5  # points; as much may come of other hardware


@dataclass(frozen=True)
class Group:
    """All cells of one model under one setting.

    Attributes:
        model: Its label.
        setting: Its label.
        finished: One finished cell for each seed: of several alike the newest.
        unfinished: Seeds of which there is no finished cell.
    """

    model: str
    setting: Setting
    finished: tuple[Cell, ...]
    unfinished: tuple[Cell, ...]

    @property
    def state(self) -> str:
        """Empty if all its cells are finished, else "failed", "missing" or "partial"."""
        if not self.unfinished:
            return ""
        if self.finished:
            return "partial"
        return "failed" if any(cell.state == "failed" for cell in self.unfinished) else "missing"

    def measure(self, side: str, metric: str) -> Estimate | None:
        """The mean of a metric over the seeds that have it; "benign" or "adversarial"."""
        means = [cell.run.side(side).means.get(metric) for cell in self.finished if cell.run]
        return estimate_of([mean for mean in means if mean is not None])

    def seconds(self) -> Estimate | None:
        """The cost of one cell, over those that tell it."""
        return estimate_of([cell.seconds for cell in self.finished if cell.seconds is not None])


@dataclass(frozen=True)
class Board:
    """All groups.

    Attributes:
        groups: By setting and model.
        models: Labels, the baseline first.
        settings: Labels, by data set, attack, defense, and numbers by their size.
        benign: Groups as if there were no attack: settings are those parts that matter without it.
        labels: Of each cell that has a config, by `key_of` the cell.
        strange: A line for each model whose benign results disagree between runs that should agree.
        repeated: Keys of finished cells that do not count, since a newer one of the same config is there.
    """

    groups: dict[tuple[Setting, str], Group]
    models: tuple[str, ...]
    settings: tuple[Setting, ...]
    benign: dict[tuple[Setting, str], Group]
    labels: dict[str, Label]
    strange: tuple[str, ...]
    repeated: frozenset[str]

    @property
    def baseline(self) -> str | None:
        """The model that others are compared to; None if the single-task tracker is not there, or is alone."""
        found = [model for model in self.models if model.split()[0] == BASELINE]
        return found[0] if found and len(self.models) > 1 else None

    @property
    def sides(self) -> tuple[str, ...]:
        """What was to be measured: without the attack alone, where nothing was attacked."""
        return SIDES if any(map(is_attacked, self.settings)) else SIDES[:1]


def make_board(cells: Sequence[Cell]) -> Board:
    """Sort cells into groups, checkpoints on the way of an attack like runs of so many steps."""
    cells = [each for cell in cells for each in with_checkpoints(cell)]
    labels = label_cells(cells)
    named = [cell for cell in cells if key_of(cell) in labels]
    groups = _group(named, labels, lambda label: label.setting)
    counted = {key_of(cell) for group in groups.values() for cell in group.finished}
    models = {label.model for label in labels.values()}
    return Board(
        groups=groups,
        models=tuple(sorted(models, key=lambda model: (model.split()[0] != BASELINE, _natural(model)))),
        settings=tuple(sorted({setting for setting, _ in groups}, key=_setting_order)),
        benign=_group(named, labels, lambda label: label.unattacked, "benign"),
        labels=labels,
        strange=tuple(_disagreements(named, labels)),
        repeated=frozenset(key_of(cell) for cell in named if cell.run and cell.steps is None) - counted,
    )


def newest(cells: Sequence[Cell]) -> list[Cell]:
    """Of cells with the same config the newest alone, in the order in which their configs come first."""
    found: dict[str, Cell] = {}
    for cell in cells:
        config = say(flatten(cell.config))
        if config not in found or _worth(found[config], "adversarial") <= _worth(cell, "adversarial"):
            found[config] = cell
    return list(found.values())


def estimate_of(values: Sequence[float]) -> Estimate | None:
    """The estimate of values, None of none."""
    return estimate(values) if values else None


def _group(
    cells: Sequence[Cell], labels: dict[str, Label], setting_of: Callable[[Label], Setting], side: str = "adversarial"
) -> dict[tuple[Setting, str], Group]:
    sorted_in: dict[tuple[Setting, str], dict[Setting, Cell]] = {}
    for cell in sorted(cells, key=lambda cell: _worth(cell, side)):  # what is worth most comes last, and stays
        label = labels[key_of(cell)]
        sorted_in.setdefault((setting_of(label), label.model), {})[label.seed] = cell
    return {
        (setting, model): Group(
            model,
            setting,
            tuple(cell for _, cell in sorted(by_seed.items()) if cell.run),
            tuple(cell for _, cell in sorted(by_seed.items()) if not cell.run),
        )
        for (setting, model), by_seed in sorted_in.items()
    }


def _disagreements(cells: Sequence[Cell], labels: dict[str, Label]) -> Iterator[str]:
    """Without an attack, the same model under the same setting gives the same, unless something has changed unsaid."""
    found: dict[tuple[str, Setting, Setting], list[float]] = {}
    for cell in cells:
        label = labels[key_of(cell)]
        if cell.run and cell.run.benign.mean_iou is not None:
            seed = tuple(pair for pair in label.seed if not pair[0].startswith("attack."))
            found.setdefault((label.model, label.unattacked, seed), []).append(100 * cell.run.benign.mean_iou)
    for (model, unattacked, _), ious in found.items():
        if max(ious) - min(ious) > _TOLERANCE:
            place = " · ".join(value for _, value in unattacked)
            yield (
                f"{model} on {place}: the benign mIoU is {min(ious):.1f} in one run and {max(ious):.1f} in another; "
                "the weights or the data have changed in between"
            )


def _worth(cell: Cell, side: str) -> tuple[bool, bool, bool, float]:
    """Finished, with this side measured, for its own sake and not in passing, new: the earlier the weightier."""
    if cell.run is None:
        return False, False, cell.steps is None, 0.0
    return True, cell.run.side(side).mean_iou is not None, cell.steps is None, cell.run.timestamp


def _setting_order(setting: Setting) -> list[tuple[str, list[tuple[int, float, str]]]]:
    return [(name, _natural(value)) for name, value in setting]


def _natural(text: str) -> list[tuple[int, float, str]]:
    """A key that sorts "steps 20" before "steps 100"."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(0, float(part), "") if number % 2 else (1, 0.0, part) for number, part in enumerate(parts) if part]
