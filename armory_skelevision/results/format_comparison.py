"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from armory_skelevision.results.comparison import Comparison, Difference
from armory_skelevision.results.metric_names import describe_metric
from armory_skelevision.results.report.text import one_line


def format_comparison(comparison: Comparison) -> str:
    """A comparison as lines of text: what differs, then a table for each pair of runs."""
    lines = [*_format_differences(comparison.differences), ""]
    for pair in comparison.pairs:
        lines += [one_line(pair.name), *_format_contrasts(pair.contrasts), ""]
    if not comparison.overall.empty:
        lines += [f"all {len(comparison.pairs)} together", *_format_contrasts(comparison.overall), ""]
    return "\n".join([*lines, "B − A is paired by video, with its 95 % interval (Student's t over the videos)."])


def _format_differences(differences: Sequence[Difference]) -> list[str]:
    lines = []
    for title, expected in (("expected to differ", True), ("differs as well", False)):
        lines += [
            one_line(f"{title}: {key}: {a} → {b}") for key, a, b, is_expected in differences if is_expected is expected
        ]
    return lines or ["configs, versions and weights are the same, as far as they are recorded"]


def _format_contrasts(contrasts: pd.DataFrame) -> list[str]:
    if contrasts.empty:
        return ["  nothing to compare"]
    names, rows = [], []
    for side, metric, first, second, change in contrasts.itertuples(index=False):
        interval = "[{:+.3f}, {:+.3f}]".format(*change.interval) if change.interval else "none of n = 1"
        names.append("  " + one_line(f"{side} {describe_metric(metric).title}"))
        rows.append((str(change.n), f"{first:.3f}", f"{second:.3f}", f"{change.mean:+.3f}", interval))
    columns = ["videos", "A", "B", "B − A", "95 % interval"]
    text: str = pd.DataFrame(rows, index=names, columns=columns).to_string(col_space=7)
    return text.splitlines()
