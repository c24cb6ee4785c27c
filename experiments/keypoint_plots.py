"""The table of `experiments/keypoints.py` as a file, its curves and the bars of the keypoints."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[dict[str, Any]]


def write_plots(rows: Rows, folder: Path) -> None:
    """Write ``keypoints.csv``, and for each collection of people ``curves_….png`` and ``keypoints_….png``."""
    import matplotlib as mpl

    mpl.use("agg")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "keypoints.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ["people", "attack", "eps", "persons", "pck", "relative", "half_width", "aimed"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(
            {**row, "relative": row["relative"].mean, "half_width": row["relative"].half_width} for row in rows
        )
    for people in sorted({row["people"] for row in rows}):
        chosen = [row for row in rows if row["people"] == people and row["attack"] != "none"]
        if chosen:
            draw_curves(chosen, f"{people}: keypoints found under attack", folder / f"curves_{people}.png")
            draw_keypoints(chosen, f"{people}: keypoints found under attack", folder / f"keypoints_{people}.png")


def draw_curves(rows: Rows, title: str, path: Path) -> None:
    """Relative PCK over the bound, a line per attack; dashed, what targeted ones reach of the pose wanted."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for attack in dict.fromkeys(row["attack"] for row in rows):
        line = [row for row in rows if row["attack"] == attack]
        bounds = [row["eps"] for row in line]
        (drawn,) = axes.plot(bounds, [row["relative"].mean for row in line], marker="o", label=attack)
        if "-T" in attack:
            aimed = [row["aimed"] for row in line]
            axes.plot(bounds, aimed, "--", color=drawn.get_color(), label=f"{attack}: PCK of the pose wanted")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({row["eps"] for row in rows}), [f"{eps:g}" for eps in sorted({row["eps"] for row in rows})])
    axes.set(xlabel="bound of the perturbation (1/255)", ylabel="relative PCK (%)", title=title, ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def draw_keypoints(rows: Rows, title: str, path: Path) -> None:
    """Relative PCK of each keypoint: bars for each attack at the bound 8, or the one nearest to it."""
    from matplotlib import pyplot

    bound = min({row["eps"] for row in rows}, key=lambda eps: abs(eps - 8))
    chosen = [row for row in rows if row["eps"] == bound and row["attack"] != "noise"]
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    width = 0.8 / max(len(chosen), 1)
    for number, row in enumerate(chosen):
        places = [place + (number - (len(chosen) - 1) / 2) * width for place in range(len(row["keypoints"]))]
        axes.bar(places, [value or 0 for value in row["keypoints"].values()], width, label=row["attack"])
    names = [name.replace("_", " ") for name in rows[0]["keypoints"]]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set(ylabel="relative PCK (%)", title=f"{title}, bound {bound:g}/255")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
