"""Charts as SVG inside a page: in its font and colours, without references to anything outside.

Colours are those of Okabe and Ito, which colour-blind readers can distinguish; markers and dashes do so in grey.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

from armory_skelevision.results.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "D", "^", "s", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (6, 2, 2, 2)), (0, (2, 2)))

INK = "#010203"
"""Stands for the page's own text colour."""

_WIDTH, _HEIGHT = 4.4, 2.4  # inches, 96 pixels each: fits a phone, so that text keeps its size
_INKED = ("axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color", "ytick.color")
_STYLE: dict[Any, Any] = {
    **dict.fromkeys(_INKED, INK),
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
}


class LineStyle(NamedTuple):
    """How a model's line is drawn in all charts."""

    colour: str
    marker: str
    dashes: Any


BASELINE = LineStyle("#d55e00", "s", (0, (4, 2)))


def line_styles(models: Sequence[str], baseline: str | None = None) -> dict[str, LineStyle]:
    """A style for each model: the baseline has its own, others take turns."""
    others = map(LineStyle, cycle(COLOURS), cycle(MARKERS), cycle(DASHES))
    return {model: BASELINE if model == baseline else next(others) for model in models}


def legend_text(name: str) -> str:
    """A name as a chart's legend shows it: short, and never hidden, as matplotlib does with a leading underscore."""
    text = one_line(name)[:60]
    return f" {text}" if text.startswith("_") else text


def draw_chart(title: str, data: object, plot: Callable[[Axes], None], legend_columns: int = 4) -> str:
    """A chart as an <svg> element, with a legend above it.

    Args:
        title: Describes the chart to screen readers.
        data: What it shows, which makes names inside the SVG unique.
        plot: Draws into the axes.
        legend_columns: At most; as many as fit. The figure grows by the rows.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": repr((title, data))}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # readers see the page's font, not matplotlib's
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.subplots()
        axes.grid(axis="y")
        plot(axes)
        handles, names = axes.get_legend_handles_labels()
        columns = max(
            1, min(legend_columns, 64 // (max(map(len, names), default=0) + 7))
        )  # 64 letters, 7 of them for a line
        figure.set_figheight(_HEIGHT + 0.17 * math.ceil(len(names) / columns))
        figure.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=2.4, columnspacing=1.2)
        return _to_svg(figure, title)


def _to_svg(figure: Figure, title: str) -> str:
    file = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML head
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML defines both namespaces
    svg = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # these are the same in every chart
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)  # the page's font
    svg = svg.replace("*{", "svg *{")
    return svg.replace(INK, "currentColor").strip()
