"""Metrics that ARMORY's `metric.task` can name by dotted path, such as `armory_skelevision.metrics.success_auc`."""

from armory_skelevision.metrics.boxes import (
    average_overlap,
    frame_boxes,
    frame_iou,
    normalised_precision,
    precision_20px,
    success_auc,
    true_boxes,
)
from armory_skelevision.metrics.keypoints import keypoint_pck, oks, pck, relative_pck
from armory_skelevision.metrics.scores import frame_scores, lost_but_sure, mean_attack_success_rate

__all__ = [
    "average_overlap",
    "frame_boxes",
    "frame_iou",
    "frame_scores",
    "keypoint_pck",
    "lost_but_sure",
    "mean_attack_success_rate",
    "normalised_precision",
    "oks",
    "pck",
    "precision_20px",
    "relative_pck",
    "success_auc",
    "true_boxes",
]
