"""Published numbers in a sweep's grid, shown beside measured ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armory_skelevision.results.labels import as_text
from armory_skelevision.results.records import RunResult
from armory_skelevision.results.summary import Group


@dataclass(frozen=True)
class Published:
    """Numbers of papers, in per cent.

    Attributes:
        grids: The grids of sweeps, by the sweep's folder. A grid may have "published", an object with a "source" and
            "cells"; each cell has "where" (labels by axis), the "benign" mean IoU, and "adversarial" ones by steps.
    """

    grids: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Where they are from, in a line."""
        sources = [str(_published(grid).get("source") or "") for grid in self.grids.values()]
        return "; ".join(dict.fromkeys(filter(None, sources)))

    def find(self, group: Group, side: str) -> float | None:
        """The published mean IoU of a model under a setting, in per cent; None where there is none."""
        for run in group.runs:
            for cell in self._cells(run):
                number = cell.get(side)
                if isinstance(number, dict):
                    number = number.get(str(run.setting("attack", "kwargs", "max_iter")))
                if isinstance(number, int | float):
                    return float(number)
        return None

    def _cells(self, run: RunResult) -> Iterator[Mapping[str, Any]]:
        """The published cells whose labels are those of a run."""
        cells = _published(self.grids.get(run.folder.parent, {})).get("cells")
        for cell in cells if isinstance(cells, list) else []:
            where = cell.get("where") if isinstance(cell, dict) else None
            if isinstance(where, dict) and all(
                name in run.labels and as_text(run.labels[name]) == as_text(label) for name, label in where.items()
            ):
                yield cell


def _published(grid: Mapping[str, Any]) -> Mapping[str, Any]:
    found = grid.get("published")
    return found if isinstance(found, dict) else {}
