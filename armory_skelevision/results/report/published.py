"""Published numbers that a grid carries, to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armory_skelevision.results.cells import Cell
from armory_skelevision.results.groups import Group
from armory_skelevision.results.labels import say


@dataclass(frozen=True)
class Published:
    """Numbers of papers, in per cent.

    Attributes:
        grids: What sweeps' grids say under "published", by the sweep's folder: a "source", and "cells", each with
            "where" (labels by axis), the "benign" mean IoU, and the "adversarial" ones by steps.
    """

    grids: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_grids(cls, grids: Mapping[Path, Mapping[str, Any]]) -> Published:
        """Those that these grids carry."""
        said = {folder: grid.get("published") for folder, grid in grids.items()}
        return cls({folder: published for folder, published in said.items() if isinstance(published, dict)})

    @property
    def source(self) -> str:
        """Where they are from, in a line."""
        sources = [str(published["source"]) for published in self.grids.values() if published.get("source")]
        return "; ".join(dict.fromkeys(sources))

    def find(self, group: Group, side: str) -> float | None:
        """The published mean IoU, in per cent, of a model under a setting; None where there is none."""
        for cell in (*group.finished, *group.unfinished):
            for row in self._rows(cell):
                number = row.get(side)
                if isinstance(number, dict):
                    number = number.get(str(_steps(cell)))
                if isinstance(number, int | float):
                    return float(number)
        return None

    def _rows(self, cell: Cell) -> list[Mapping[str, Any]]:
        """The published cells that stand where this cell does."""
        rows = self.grids.get(cell.folder.parent, {}).get("cells")
        return [row for row in rows if _stands(row, cell)] if isinstance(rows, list) else []


def _stands(row: Any, cell: Cell) -> bool:
    where = row.get("where") if isinstance(row, dict) else None
    if not isinstance(where, dict):
        return False
    return all(name in cell.labels and say(cell.labels[name]) == say(label) for name, label in where.items())


def _steps(cell: Cell) -> Any:
    attack = cell.config.get("attack")
    kwargs = attack.get("kwargs") if isinstance(attack, dict) else None
    return kwargs.get("max_iter") if isinstance(kwargs, dict) else None
