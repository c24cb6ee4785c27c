"""What other toolkits compute from exported files, in our own arithmetic: to compare with what they print.

The success AUC, the precision and the normalised precision of OTB and LaSOT are metrics of every run already (see
`metrics.boxes`). GOT-10k's average overlap (AO) and success rates (SR) are computed here from the recorded boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.results.export.sequences import has_target, to_xywh
from armory_skelevision.results.metric_names import describe_metric
from armory_skelevision.results.records import Box, SideResult

RATES = (0.5, 0.75)
"""IoUs of GOT-10k's success rates."""

Values = NDArray[np.float64]


def describe_scores(form: str, side: SideResult, sizes: Sequence[tuple[int, int]]) -> str:
    """The numbers that a toolkit gives for a side, in words; "" where they are unknown.

    Args:
        form: The format of the exported files.
        side: What was measured on a side of a run.
        sizes: Width and height of each video.
    """
    if form == "got10k":
        if not sizes:
            return "AO unknown: the result does not say how large the frames are"
        return ", ".join(f"{name} {value:.6f}" for name, value in got10k_scores(side, sizes).items())
    if form == "vot":
        return f"mean IoU {side.mean_iou:.6f}; VOT's toolkit compares whole pixels" if side.mean_iou is not None else ""
    metrics = ("success_auc", "precision_20px", "normalised_precision")
    found = [(describe_metric(metric).title, side.means[metric]) for metric in metrics if metric in side.means]
    return ", ".join(f"{title} {value:.6f}" for title, value in found)


def got10k_scores(side: SideResult, sizes: Sequence[tuple[int, int]]) -> dict[str, float]:
    """AO, SR at 0.5 and SR at 0.75, each a mean over the frames of all videos together.

    Left out are the first frame of each video, whose box is given, and frames without a target. Boxes are first cut
    to the image as GOT-10k's toolkit does it (`got10k.utils.metrics.rect_iou`, at 956e728).

    Source: Huang, Zhao, Huang, GOT-10k, PAMI 2019. There AO is a mean over classes; its toolkit, for validation, takes
    the mean over frames.
    """
    overlaps = [
        _overlaps(truth, found, size)
        for truth, found, size in zip(side.true_boxes_xyxy, side.boxes_xyxy, sizes, strict=True)
    ]
    together = np.concatenate(overlaps)
    rates = {f"SR {rate:g}": float((together > rate).mean()) for rate in RATES} if together.size else {}
    return {"AO": float(together.mean()), **rates} if together.size else {}


def _overlaps(truth_xyxy: Sequence[Box], found_xyxy: Sequence[Box], size: tuple[int, int]) -> Values:
    """IoU of the frames that count, cut to the image."""
    counted = has_target(truth_xyxy)
    counted[:1] = False
    truth, found = (_cut(to_xywh(boxes, 0)[counted], size) for boxes in (truth_xyxy, found_xyxy))
    ends = np.minimum(truth[:, :2] + truth[:, 2:], found[:, :2] + found[:, 2:])
    shared = (ends - np.maximum(truth[:, :2], found[:, :2])).clip(0).prod(axis=1)
    union = truth[:, 2:].prod(axis=1) + found[:, 2:].prod(axis=1) - shared
    return np.asarray(shared / np.where(union > 0, union, 1.0))


def _cut(boxes_xywh: Values, size: tuple[int, int]) -> Values:
    """Boxes (F, 4) moved and shortened to lie in the image.

    As in the toolkit, a box that begins left of the image is moved to its edge, and not shortened by what is outside.
    """
    start = boxes_xywh[:, :2].clip(0)
    return np.concatenate([start, np.minimum(boxes_xywh[:, 2:], np.asarray(size) - start).clip(0)], axis=1)
