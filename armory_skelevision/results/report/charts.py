"""The charts of a report; shares are in [0, 1], and shown in per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.report.curves import PRECISION_AT, Curve
from armory_skelevision.results.report.svg import INK, LineStyle, draw_chart, legend_text, line_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_CENT: dict[str, Any] = {"ylim": (-2, 102), "yticks": [0, 25, 50, 75, 100]}
_SIDE_LOOK = {"benign": ("benign", "-", 1.0), "adversarial": ("attacked", (0, (4, 2)), 1.6)}

BySide = Mapping[str, Mapping[str, Curve]]
"""Curves by model and side."""

Estimates = Mapping[str, Mapping[float, Estimate]]
"""By model or attack, by place on the x axis."""

Styles = Mapping[str, LineStyle]
"""Of lines, by model or attack."""


def steps_chart(curves: Estimates, styles: Styles) -> str:
    """Mean IoU over the attack's steps, a line for each model; 0 steps is without the attack."""
    counts = sorted({steps for curve in curves.values() for steps in curve})
    none = next((steps for steps in counts if steps), 1) / 2.2  # a logarithmic axis has no 0
    ticks = {steps or none: str(steps or "none") for steps in counts}
    placed = {model: {steps or none: value for steps, value in curve.items()} for model, curve in curves.items()}
    labels = {"xlabel": "steps of the attack", "ylabel": "mean IoU, %"}
    return _estimates_chart("Mean IoU over the attack's steps", placed, styles, ticks, 10, labels)


def bounds_chart(curves: Estimates) -> str:
    """Relative PCK over the bound of the perturbation in 1/255, a line for each attack."""
    ticks = {bound: f"{bound:g}" for bound in sorted({bound for curve in curves.values() for bound in curve})}
    labels = {"xlabel": "bound of the perturbation, 1/255", "ylabel": "relative PCK, %"}
    title = "Relative PCK over the bound of the perturbation"
    return _estimates_chart(title, curves, line_styles(list(curves)), ticks, 2, labels)


def keypoints_chart(bars: Mapping[str, Mapping[str, float]]) -> str:
    """Relative PCK by attack and part of the body, a bar for each attack."""
    parts = list(dict.fromkeys(part for found in bars.values() for part in found))
    width, styles = 0.8 / len(bars), line_styles(list(bars))

    def plot(axes: Axes) -> None:
        for number, (attack, found) in enumerate(bars.items()):
            places = [place + (number - (len(bars) - 1) / 2) * width for place in range(len(parts))]
            shares = [100 * found.get(part, 0) for part in parts]
            axes.bar(places, shares, width, label=legend_text(attack), color=styles[attack].colour)
        axes.set_axisbelow(True)
        axes.set_xticks(range(len(parts)), parts, rotation=40, ha="right", rotation_mode="anchor")
        axes.set(ylabel="relative PCK, %")

    return draw_chart("Relative PCK of each keypoint", bars, plot)


def success_chart(curves: BySide, styles: Styles) -> str:
    """Success plot: share of frames whose IoU is above a threshold, over the threshold; the legend has the AUC."""
    look = {"xlabel": "IoU threshold", "ylabel": "success rate, %", "xlim": (0, 1)}
    return _sides_chart("Success plot", curves, styles, look)


def precision_chart(curves: BySide, styles: Styles) -> str:
    """Precision plot: share of frames by centre error in pixels; the legend has the precision at 20 px."""
    look = {"xlabel": "centre error threshold, px", "ylabel": "precision, %", "xlim": (0, 50)}
    return _sides_chart("Precision plot", curves, styles, look, [PRECISION_AT])


def frames_chart(curves: BySide, styles: Styles, shown: Sequence[int] = ()) -> str:
    """IoU over the frames of a video, with markers; frames of the filmstrip, ``shown``, are marked on the axis."""
    look = {"xlabel": "frame", "ylabel": "IoU, %", "xmargin": 0.02}
    return _sides_chart("IoU over the frames of a video", curves, styles, look, shown, is_of_frames=True)


def scores_chart(curves: BySide, styles: Styles, shown: Sequence[int] = ()) -> str:
    """The tracker's score over the frames of a video, on its own scale, which mostly is [0, 1]; see `frames_chart`."""
    look = {"xlabel": "frame", "ylabel": "score of the tracker", "xmargin": 0.02}
    values = [value for sides in curves.values() for curve in sides.values() for value in curve.values]
    is_share = all(0 <= value <= 1 or value != value for value in values)
    limits = {"ylim": (-0.02, 1.02), "yticks": [0, 0.25, 0.5, 0.75, 1]} if is_share else {}
    title = "Score over the frames of a video"
    return _sides_chart(title, curves, styles, look | limits, shown, is_of_frames=True, unit=1)


def _sides_chart(
    title: str, curves: BySide, styles: Styles, look: Mapping[str, Any], marks: Sequence[float] = (),
    is_of_frames: bool = False, unit: float = 100,
) -> str:  # fmt: skip
    """One colour for each model; benign solid, attacked dashed, the score of each in the legend if it has one.

    Values are multiplied by ``unit``: shares are shown in per cent.
    """

    def plot(axes: Axes) -> None:
        for side, (word, dashes, width) in _SIDE_LOOK.items():
            for model, curve in ((model, sides[side]) for model, sides in curves.items() if side in sides):
                score = "" if curve.score is None else f" [{100 * curve.score:.1f}]"
                (line,) = axes.plot(curve.x, unit * curve.values, color=styles[model].colour, ls=dashes)
                line.set_label(f"{legend_text(model)}, {word}{score}")
                if is_of_frames:
                    line.set(lw=width, marker=styles[model].marker, ms=3.5, markevery=max(1, len(curve.x) // 8))
        for mark in marks:
            axes.axvline(mark, color=INK, alpha=0.25, lw=0.8, zorder=0)
        if is_of_frames:
            axes.locator_params(axis="x", integer=True)
        axes.set(**(_PER_CENT if unit == 100 else {}), **look)

    return draw_chart(title, (curves, marks), plot, legend_columns=len(_SIDE_LOOK))


def _estimates_chart(
    title: str, curves: Estimates, styles: Styles, ticks: Mapping[float, str], base: int, labels: Mapping[str, str]
) -> str:
    """Means with their intervals, a line for each name, over a logarithmic axis with these ticks."""

    def plot(axes: Axes) -> None:
        for rank, (name, curve) in enumerate(curves.items()):
            style, points = styles[name], sorted(curve.items())
            aside = 1.035 ** (rank - (len(curves) - 1) / 2)  # so that intervals do not overlap
            bars = [100 * (value.half_width or 0) for _, value in points]
            axes.errorbar(
                [x * aside for x, _ in points], [100 * value.mean for _, value in points],
                yerr=bars if any(bars) else None, label=legend_text(name), color=style.colour, marker=style.marker,
                ls=style.dashes, capsize=2.5, elinewidth=1,
            )  # fmt: skip
        axes.set_xscale("log", base=base)
        axes.set_xticks(list(ticks), list(ticks.values()), minor=False)
        axes.set_xticks([], minor=True)
        highest = max((100 * value.mean for curve in curves.values() for value in curve.values()), default=0)
        axes.set(ylim=(0, min(axes.get_ylim()[1], max(102, highest + 2))), **labels)

    return draw_chart(title, curves, plot)
