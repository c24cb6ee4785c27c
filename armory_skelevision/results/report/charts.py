"""The charts of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.records import SIDES
from armory_skelevision.results.report.curves import OVERLAPS, PIXELS, PRECISION_AT, Curve, Values
from armory_skelevision.results.report.svg import INK, LineStyle, add_legend, line_styles, new_axes, styled, to_svg

_SIDE_LOOK = {"benign": ("benign", "-"), "adversarial": ("attacked", (0, (4, 2)))}

BySide = Mapping[str, Mapping[str, Curve]]
"""Curves by model and side."""


def steps_chart(curves: Mapping[str, Mapping[int, Estimate]], styles: Mapping[str, LineStyle]) -> str:
    """Mean IoU in per cent over the attack's steps, a line for each model; 0 steps is without the attack.

    Args:
        curves: By model, by number of steps; shares in [0, 1].
        styles: By model.
    """
    counts = sorted({steps for curve in curves.values() for steps in curve})
    first = next((steps for steps in counts if steps), 1)
    ticks = {steps or first / 2.2: str(steps or "none") for steps in counts}  # a logarithmic axis has no 0
    placed = {model: {steps or first / 2.2: value for steps, value in curve.items()} for model, curve in curves.items()}
    title = "Mean IoU over the attack's steps"
    return _estimates_chart(placed, styles, ticks, 10, "steps of the attack", "mean IoU, %", title)


def bounds_chart(curves: Mapping[str, Mapping[float, Estimate]]) -> str:
    """Relative PCK in per cent over the bound of the perturbation, a line for each attack.

    Args:
        curves: By attack, by bound in 1/255; shares in [0, 1].
    """
    ticks = {bound: f"{bound:g}" for bound in sorted({bound for curve in curves.values() for bound in curve})}
    label, title = "bound of the perturbation, 1/255", "Relative PCK over the bound of the perturbation"
    return _estimates_chart(curves, line_styles(list(curves), None), ticks, 2, label, "relative PCK, %", title)


def keypoints_chart(bars: Mapping[str, Mapping[str, float]]) -> str:
    """Relative PCK of each part of the body in per cent, a bar for each attack.

    Args:
        bars: By attack, by part; shares in [0, 1].
    """
    parts = list(dict.fromkeys(part for found in bars.values() for part in found))
    width, styles = 0.8 / len(bars), line_styles(list(bars), None)
    with styled(bars):
        figure, axes = new_axes()
        for number, (attack, found) in enumerate(bars.items()):
            places = [place + (number - (len(bars) - 1) / 2) * width for place in range(len(parts))]
            shares = [100 * found.get(part, 0) for part in parts]
            axes.bar(places, shares, width, label=attack, color=styles[attack].colour)
        axes.set_axisbelow(True)
        axes.set_xticks(range(len(parts)), parts, rotation=40, ha="right", rotation_mode="anchor")
        axes.set(ylabel="relative PCK, %")
        add_legend(figure, axes)
        return to_svg(figure, "Relative PCK of each keypoint")


def success_chart(curves: BySide, styles: Mapping[str, LineStyle]) -> str:
    """Success plot: share of frames whose IoU is above a threshold, over the threshold; the legend has the AUC."""
    return _curves_chart(curves, styles, OVERLAPS, "IoU threshold", "success rate, %", "Success plot")


def precision_chart(curves: BySide, styles: Mapping[str, LineStyle]) -> str:
    """Precision plot: share of frames by centre error in pixels; the legend has the precision at 20 px."""
    label = "centre error threshold, px"
    return _curves_chart(curves, styles, PIXELS, label, "precision, %", "Precision plot", PRECISION_AT)


def frames_chart(
    ious: Mapping[str, Mapping[str, Sequence[float]]], styles: Mapping[str, LineStyle], shown: Sequence[int] = ()
) -> str:
    """IoU in per cent over the frames of a video: benign solid and thin, attacked dashed.

    Args:
        ious: By model and side, IoU in [0, 1] of each frame.
        styles: By model.
        shown: Frames of the filmstrip, marked on the axis.
    """
    with styled((ious, shown)):
        figure, axes = new_axes()
        for side, (word, dashes) in _SIDE_LOOK.items():
            for model, values in ((model, sides[side]) for model, sides in ious.items() if side in sides):
                style, every = styles[model], max(1, len(values) // 8)
                axes.plot([100 * iou for iou in values], color=style.colour, ls=dashes, label=f"{model}, {word}",
                          lw=1 if side == SIDES[0] else 1.6, marker=style.marker, ms=3.5, markevery=every)  # fmt: skip
        for frame in shown:
            axes.axvline(frame, color=INK, alpha=0.25, lw=0.8, zorder=0)
        axes.locator_params(axis="x", integer=True)
        axes.set(xlabel="frame", ylabel="IoU, %", ylim=(-2, 102), xmargin=0.02)
        axes.set_yticks([0, 25, 50, 75, 100])
        add_legend(figure, axes, columns=len(SIDES))
        return to_svg(figure, "IoU over the frames of a video")


def _estimates_chart(
    curves: Mapping[str, Mapping[float, Estimate]], styles: Mapping[str, LineStyle], ticks: Mapping[float, str],
    base: int, xlabel: str, ylabel: str, title: str,
) -> str:  # fmt: skip
    """Means with their intervals in per cent, a line for each name, over a logarithmic axis with these ticks."""
    with styled((title, curves)):
        figure, axes = new_axes()
        for rank, (name, curve) in enumerate(curves.items()):
            style, points = styles[name], sorted(curve.items())
            aside = 1.035 ** (rank - (len(curves) - 1) / 2)  # so that intervals do not overlap
            bars = [100 * (value.half_width or 0) for _, value in points]
            axes.errorbar(
                [x * aside for x, _ in points], [100 * value.mean for _, value in points],
                yerr=bars if any(bars) else None, label=name, color=style.colour, marker=style.marker,
                ls=style.dashes, capsize=2.5, elinewidth=1,
            )  # fmt: skip
        axes.set_xscale("log", base=base)
        axes.set_xticks(list(ticks), list(ticks.values()), minor=False)
        axes.set_xticks([], minor=True)
        highest = max((100 * value.mean for curve in curves.values() for value in curve.values()), default=0)
        axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, min(axes.get_ylim()[1], max(102, highest + 2))))
        add_legend(figure, axes)
        return to_svg(figure, title)


def _curves_chart(
    curves: BySide, styles: Mapping[str, LineStyle], x: Values, xlabel: str, ylabel: str, title: str,
    mark: float | None = None,
) -> str:  # fmt: skip
    """Curves in per cent, one colour for each model; benign solid, attacked dashed, the score of each in the legend."""
    with styled((title, curves)):
        figure, axes = new_axes()
        for side, (word, dashes) in _SIDE_LOOK.items():
            for model, curve in ((model, sides[side]) for model, sides in curves.items() if side in sides):
                label = f"{model}, {word} [{100 * curve.score:.1f}]"
                axes.plot(x, 100 * curve.values, color=styles[model].colour, ls=dashes, label=label)
        if mark is not None:
            axes.axvline(mark, color=INK, alpha=0.25, lw=0.8, zorder=0)
        axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(-2, 102), xlim=(x[0], x[-1]))
        axes.set_yticks([0, 25, 50, 75, 100])
        add_legend(figure, axes, columns=len(SIDES))
        return to_svg(figure, title)
