"""Names of metrics for readers."""

from __future__ import annotations

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.result_file import RELATIVE_PCK

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


def name_metric(metric: str) -> str:
    """A metric's name for readers, from its name in result files."""
    return SHARES.get(metric, metric.replace("_", " "))
