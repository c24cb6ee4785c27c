"""Draw the figures of docs/report.md, from measurements that are part of the repository.

python -m examples.report_figures docs

Writes report_patches.svg, what patches leave of each video, from experiments/measured/auto_patch.csv, and
report_claims.svg, the verdicts on the papers' claims, from claims/*.json.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from armory_skelevision.claims.claim import Claim, hash_packaged, read_claims
from benchmarks.walkers import COUNTS

ROOT = Path(__file__).parent.parent
NAMES = {"stl": "STL", "mtl": "MTL", "nanotrack": "NanoTrack"}
POINTS = {"benign": ("no attack", "0.45"), "published": ("published loss", "C0"), "auto": ("AutoPatch", "C1")}
VERDICTS = {"holds": "C2", "does not hold": "C3", "cannot be told": "0.75"}


def read_patches(path: Path) -> pd.DataFrame:
    """Mean IoU without an attack and under both, for each tracker whose videos are all measured."""
    rows = pd.read_csv(path)
    rows = rows[rows["attack"].isin(["published", "auto"]) & (rows["constants"] == "packaged")]
    left = rows.pivot_table(index=["model", "video", "benign"], columns="attack", values="left").dropna()
    return left.reset_index().groupby("model").filter(lambda rows: len(rows) == COUNTS["dev"])


def draw_patches(table: pd.DataFrame, path: Path) -> None:
    """A line for each video, from what the stronger patch leaves to the benign value; one panel for each tracker."""
    from matplotlib import pyplot

    models = [name for name in NAMES if name in set(table["model"])]
    size = (max(5.2, 3.2 * len(models) + 0.8), 0.9 + 0.19 * table["model"].value_counts().max())
    figure, panels = pyplot.subplots(1, len(models), figsize=size, layout="constrained", squeeze=False, sharex=True)
    for axes, model in zip(panels[0], models, strict=True):
        rows = table[table["model"] == model].sort_values("auto", ascending=False).reset_index()
        axes.hlines(rows.index, rows[list(POINTS)].min(axis=1), rows[list(POINTS)].max(axis=1), color="0.85", zorder=0)
        for column, (label, colour) in POINTS.items():
            axes.scatter(rows[column], rows.index, s=16, color=colour, label=label)
        axes.set_yticks(rows.index, rows["video"], fontsize=7)
        axes.set(title=NAMES[model], xlabel="mean IoU", xlim=(0, 1))
    panels[0][0].set_ylabel("video of dev")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    _save(figure, path)


def draw_claims(claims: Mapping[str, Claim], packaged: Mapping[str, str], path: Path) -> None:
    """The number of claims of each paper by verdict; pale where other weights than those of now were measured."""
    from matplotlib import pyplot

    papers = list(dict.fromkeys(claim.source.paper for claim in claims.values()))[::-1]
    figure, axes = pyplot.subplots(figsize=(6.4, 0.9 + 0.4 * len(papers)), layout="constrained")
    starts = Counter[str]()
    for verdict, colour in VERDICTS.items():
        for old in (False, True):
            counts = Counter(
                claim.source.paper
                for claim in claims.values()
                if claim.verdict == verdict and bool(claim.find_changed(packaged)) == old
            )
            label = f"{verdict} (other weights)" if old else verdict
            widths, lefts = ([values[paper] for paper in papers] for values in (counts, starts))
            axes.barh(
                papers, widths, left=lefts, color=colour, alpha=0.45 if old else 1, label=label if sum(widths) else None
            )
            starts += counts
    axes.set(xlabel="claims")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Write a figure as SVG, with the same bytes for the same numbers."""
    from matplotlib import pyplot

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "report"  # ids of elements are random otherwise
    draw_patches(read_patches(ROOT / "experiments/measured/auto_patch.csv"), folder / "report_patches.svg")
    draw_claims(read_claims(ROOT / "claims"), hash_packaged(), folder / "report_claims.svg")


if __name__ == "__main__":
    main()
