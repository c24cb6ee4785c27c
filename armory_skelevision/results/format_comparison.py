"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from armory_skelevision.results.comparison import Comparison, Contrast, Difference
from armory_skelevision.results.metric_names import describe_metric


def format_comparison(comparison: Comparison) -> str:
    """A comparison as lines of text: what differs, then a table for each pair of runs."""
    lines = [*_format_differences(comparison.differences), ""]
    for pair in comparison.pairs:
        lines += [pair.name, *_format_contrasts(pair.contrasts), ""]
    if comparison.overall:
        lines += [f"all {len(comparison.pairs)} together", *_format_contrasts(comparison.overall), ""]
    return "\n".join([*lines, "B − A is paired by video, with its 95 % interval (Student's t over the videos)."])


def _format_differences(differences: Sequence[Difference]) -> list[str]:
    lines = []
    for title, expected in (("expected to differ", True), ("differs as well", False)):
        lines += [f"{title}: {key}: {a} → {b}" for key, a, b, is_expected in differences if is_expected is expected]
    return lines or ["configs, versions and weights are the same, as far as they are recorded"]


def _format_contrasts(contrasts: Sequence[Contrast]) -> list[str]:
    if not contrasts:
        return ["  nothing to compare"]
    columns = ["videos", "A", "B", "B − A", "95 % interval"]
    names = [f"  {contrast.side} {describe_metric(contrast.metric).title}" for contrast in contrasts]
    text: str = pd.DataFrame(map(_row, contrasts), index=names, columns=columns).to_string(col_space=7)
    return text.splitlines()


def _row(contrast: Contrast) -> tuple[str, ...]:
    change = contrast.change
    interval = "[{:+.3f}, {:+.3f}]".format(*change.interval) if change.interval else "none of n = 1"
    return str(change.n), f"{contrast.first:.3f}", f"{contrast.second:.3f}", f"{change.mean:+.3f}", interval
