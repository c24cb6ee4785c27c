"""The logged values of a run over its steps: collected, as CSV, and drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger

Curves = dict[str, dict[int, float]]
"""Values by the name that they were logged under and by the number of steps done."""

_COLUMNS = 3  # charts in a row


class CurveLogger(Logger):
    """Lightning's logger that keeps what is logged.

    Attributes:
        curves: What was logged. A resumed run begins with that of its checkpoint.
    """

    def __init__(self, curves: Curves) -> None:
        super().__init__()
        self.curves = curves

    @property
    def name(self) -> str:
        """Name of the logger, for Lightning."""
        return "curves"

    @property
    def version(self) -> int:
        """Version of the logger, for Lightning."""
        return 0

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the card has the settings."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep values; ``step`` counts the steps before."""
        for name, value in metrics.items():
            if name != "epoch" and step is not None:
                self.curves.setdefault(name, {})[step + 1] = float(value)


def format_curves(curves: Curves) -> bytes:
    """Curves as CSV: a line for each step that logged something, a column for each name."""
    names = sorted(curves)
    steps = sorted({step for points in curves.values() for step in points})
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", *names])
    writer.writerows([step, *(curves[name].get(step, "") for name in names)] for step in steps)
    return file.getvalue().encode("utf-8")


def draw_curves(curves: Curves) -> bytes:
    """A small chart for each curve, as SVG; equal curves give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, max(1, len(curves)))
    rows = max(1, -(-len(curves) // columns))
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    for number, (name, points) in enumerate(sorted(curves.items()), start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.plot(*zip(*sorted(points.items()), strict=True), marker="." if len(points) < 20 else "", linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "curves"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
