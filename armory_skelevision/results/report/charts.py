"""Curves as SVG that stands in a page: its text in the page's type and colour, nothing in it asked from elsewhere.

Colours are those of Okabe and Ito, told apart by the colour-blind; markers and dashes tell the lines apart in grey.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from armory_skelevision.results.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE_COLOUR = "#d55e00"
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "D", "^", "s", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (6, 2, 2, 2)), (0, (2, 2)))

_INK = "#010203"  # stands for the page's own text colour, whichever that is
_WIDTH, _HEIGHT = 4.4, 2.7  # inches: at 96 to the inch as wide as a phone shows whole, so that text keeps its size
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.linewidth": 0.7,
    "grid.color": _INK,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
}


class Look(NamedTuple):
    """How a model's line is drawn, in all charts alike."""

    colour: str
    marker: str
    dashes: Any


def looks_of(models: Sequence[str], baseline: str | None) -> dict[str, Look]:
    """A look for each model: the baseline's own, and others in turn."""
    others = [model for model in models if model != baseline]
    looks = {
        model: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, model in enumerate(others)
    }
    return {**({baseline: Look(BASELINE_COLOUR, "s", (0, (4, 2)))} if baseline else {}), **looks}


def steps_chart(curves: Mapping[str, Mapping[int, Estimate]], looks: Mapping[str, Look]) -> str:
    """Mean IoU in per cent over the attack's steps, a line for each model; 0 steps is without the attack.

    Args:
        curves: By model, by steps.
        looks: By model.
    """
    counts = sorted({steps for curve in curves.values() for steps in curve})
    first = next((steps for steps in counts if steps), 1)
    place = {steps: steps or first / 2.2 for steps in counts}  # 0 has no place on a logarithmic axis
    with _styled(curves):
        figure, axes = _axes()
        for rank, (model, curve) in enumerate(curves.items()):
            look, points = looks[model], sorted(curve.items())
            aside = 1.035 ** (rank - (len(curves) - 1) / 2)  # so that intervals stand beside each other
            x, y = [place[steps] * aside for steps, _ in points], [value.mean for _, value in points]
            bars = [value.half_width or 0 for _, value in points]
            axes.errorbar(
                x, y, yerr=bars if any(bars) else None, label=model, color=look.colour, marker=look.marker,
                ls=look.dashes, capsize=2.5, elinewidth=1,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(list(place.values()), [str(steps) if steps else "none" for steps in counts], minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel="steps of the attack", ylabel="mIoU, %", ylim=(0, None))
        _legend(figure, axes)
        return _to_svg(figure, "Mean IoU over the attack's steps")


def bounds_chart(curves: Mapping[str, Mapping[float, Estimate]]) -> str:
    """Relative PCK in per cent over the bound of a perturbation of the keypoints, a line for each attack.

    Args:
        curves: By attack, by bound in 1/255; shares.
    """
    bounds = sorted({bound for curve in curves.values() for bound in curve})
    looks = looks_of(list(curves), None)
    with _styled(curves):
        figure, axes = _axes()
        for attack, curve in curves.items():
            points = sorted(curve.items())
            bars = [100 * (value.half_width or 0) for _, value in points]
            axes.errorbar(
                [bound for bound, _ in points], [100 * value.mean for _, value in points],
                yerr=bars if any(bars) else None, label=attack, color=looks[attack].colour,
                marker=looks[attack].marker, ls=looks[attack].dashes, capsize=2.5, elinewidth=1,
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(bounds, [f"{bound:g}" for bound in bounds], minor=False)
        axes.set_xticks([], minor=True)
        top = 1.06 * max(1, axes.dataLim.ymax)  # a margin of the axis, not of the values, which may all be close to 100
        axes.set(xlabel="bound of the perturbation, 1/255", ylabel="relative PCK, %", ylim=(0, top))
        _legend(figure, axes)
        return _to_svg(figure, "Relative PCK over the bound of the perturbation")


def keypoints_chart(bars: Mapping[str, Mapping[str, float]]) -> str:
    """Relative PCK of each part of the body in per cent, a bar for each attack.

    Args:
        bars: By attack, by part; shares.
    """
    parts = list(dict.fromkeys(part for found in bars.values() for part in found))
    width, looks = 0.8 / len(bars), looks_of(list(bars), None)
    with _styled(bars):
        figure, axes = _axes()
        for number, (attack, found) in enumerate(bars.items()):
            places = [place + (number - (len(bars) - 1) / 2) * width for place in range(len(parts))]
            axes.bar(
                places, [100 * found.get(part, 0) for part in parts], width, label=attack, color=looks[attack].colour
            )
        axes.set_axisbelow(True)
        axes.set_xticks(range(len(parts)), parts, rotation=40, ha="right", rotation_mode="anchor")
        axes.set(ylabel="relative PCK, %")
        _legend(figure, axes)
        return _to_svg(figure, "Relative PCK of each keypoint")


def frames_chart(
    ious: Mapping[str, Sequence[float]],
    benign: Mapping[str, Sequence[float]],
    looks: Mapping[str, Look],
    shown: Sequence[int] = (),
) -> str:
    """IoU in per cent over the frames of a video: what is looked at as a line, without the attack thin and dotted.

    Args:
        ious: By model, IoU in [0, 1] of each frame.
        benign: Likewise, for comparison; may be empty.
        looks: By model.
        shown: Frames of the filmstrip, marked on the axis.
    """
    with _styled((ious, benign, shown)):
        figure, axes = _axes()
        for model, values in benign.items():
            axes.plot([100 * iou for iou in values], color=looks[model].colour, lw=0.9, ls=":")
        for model, values in ious.items():
            look = looks[model]
            axes.plot([100 * iou for iou in values], color=look.colour, ls=look.dashes, label=model,
                      marker=look.marker, markevery=max(1, len(values) // 8))  # fmt: skip
        for frame in shown:
            axes.axvline(frame, color=_INK, alpha=0.25, lw=0.8, zorder=0)
        axes.set(xlabel="frame", ylabel="IoU, %", ylim=(-2, 102), xmargin=0.02)
        axes.set_yticks([0, 25, 50, 75, 100])
        _legend(figure, axes)
        return _to_svg(figure, "IoU over the frames of a video")


def _styled(drawn: object) -> Any:
    from matplotlib import rc_context

    # Names inside an SVG are hashes: the same on every run, and others in every chart of a page.
    return rc_context({**_STYLE, "svg.hashsalt": repr(drawn)})


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="y")
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    columns = max(1, min(4, 40 // max(map(len, names), default=40)))
    figure.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=2.4, columnspacing=1.2)


def _to_svg(figure: Figure, title: str) -> str:
    """The figure's <svg>, ready to stand in HTML."""
    file = io.StringIO()
    nothing_said = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing_said)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]  # no XML head, which HTML has no use for
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows both namespaces
    svg = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # these name parts of the drawing, the same in every chart
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)  # the page's type
    svg = svg.replace("*{", "svg *{")
    return svg.replace(_INK, "currentColor").strip()
