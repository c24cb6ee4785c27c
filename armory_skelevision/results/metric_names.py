"""The metrics that results are read and shown by: their names, units and ranges."""

from __future__ import annotations

from typing import NamedTuple

from armory_skelevision.evaluation.table import METRIC

FRAME_IOU, FRAME_SCORES, FRAME_BOXES, TRUE_BOXES = "frame_iou", "frame_scores", "frame_boxes", "true_boxes"
"""Metrics that hold a value or a box for each frame of each video."""

KEYPOINT_PCK = "keypoint_pck"
"""The metric that holds the PCK of each keypoint; among the means it is "keypoint_pck.nose" and so on."""

RELATIVE_PCK = "relative_pck"
"""PCK under attack divided by benign PCK; ARMORY's results hold it in per cent, and for neither side."""

IOU_IN_REACH = "iou_in_reach"
"""The mean IoU over the videos in reach, which is derived from both; no result file has it."""

LOST_BUT_SURE, MASR = "lost_but_sure", "mean_attack_success_rate"
"""Metrics of the tracker's confidence, which are derived from the scores of frames; see `confidence`."""

PER_VIDEO = {
    METRIC: "mean IoU",
    "average_overlap": "average overlap",
    "success_auc": "success AUC",
    "precision_20px": "precision @20 px",
    "normalised_precision": "normalised precision",
    "video_tracking_mean_success_rate": "success rate (ARMORY)",
    MASR: "mASR (FlyTrap)",
}
"""Names of metrics in [0, 1] with one value for each video."""

SHARES = {
    METRIC: PER_VIDEO[METRIC],
    IOU_IN_REACH: "mean IoU in reach",
    **PER_VIDEO,
    LOST_BUT_SURE: "lost but sure",
    "pck": "PCK",
    RELATIVE_PCK: "relative PCK",
    "oks": "OKS",
}
"""Names of metrics that reports show in per cent; all but the relative PCK, which may exceed 1, are in [0, 1]."""


class Metric(NamedTuple):
    """How a metric is shown."""

    key: str
    """Its name in result files."""
    title: str
    scale: float
    """Factor to the unit shown: 100 for shares in per cent."""
    digits: int


def describe_metric(key: str) -> Metric:
    """How a metric is shown, by its name in result files; other metrics than `SHARES` are shown as they are."""
    title = SHARES.get(key, key.replace("_", " "))
    return Metric(key, title, *((100, 1) if key in SHARES or key.startswith(KEYPOINT_PCK) else (1, 3)))
