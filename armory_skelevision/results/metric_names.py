"""How metrics are shown to readers."""

from __future__ import annotations

from typing import NamedTuple

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.result_file import KEYPOINT_PCK, RELATIVE_PCK

SHARES = {
    METRIC: "mean IoU",
    "success_auc": "success AUC",
    "precision_20px": "precision @20 px",
    "normalised_precision": "normalised precision",
    "video_tracking_mean_success_rate": "success rate (ARMORY)",
    "pck": "PCK",
    RELATIVE_PCK: "relative PCK",
    "oks": "OKS",
}
"""Names of metrics in [0, 1], which reports show in per cent; other metrics are shown as they are."""


class Metric(NamedTuple):
    """How a metric is shown."""

    key: str
    """Its name in result files."""
    title: str
    scale: float
    """Factor to the unit shown: 100 for shares in per cent."""
    digits: int


def describe_metric(key: str) -> Metric:
    """How a metric is shown, by its name in result files."""
    title = SHARES.get(key, key.replace("_", " "))
    return Metric(key, title, *((100, 1) if key in SHARES or key.startswith(KEYPOINT_PCK) else (1, 3)))
