"""The packaged videos as ARMORY passes them to an attack, and how well they are tracked."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from armory_skelevision import load_video
from armory_skelevision.boxes import iou
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.tracking import Frames
from benchmarks.scene import Scene

COUNTS = {"dev": 20, "mini": 3}
"""Embedded videos of each split."""


def walkers(split: str, count: int | None = None, frames: int | None = None) -> Iterator[Scene]:
    """The first videos of a split ("dev" or "mini"), each cut after some frames, if asked for."""
    for number in range(COUNTS[split])[:count]:
        video = load_video(f"walkers/{split}/{number}")[:frames]
        yield Scene(video.frames[None], [{"boxes": video.boxes_xyxy}], [video.patch_metadata])


def mean_iou(estimator: SiameseEstimator, frames: Frames, truth_xyxy: Tensor) -> float:
    """Of the tracked boxes with the true ones (F, 4), frame 0 skipped."""
    with torch.no_grad():
        boxes_xyxy = estimator.track(frames, truth_xyxy[0])
    return float(iou(boxes_xyxy.cpu(), truth_xyxy)[1:].mean())
