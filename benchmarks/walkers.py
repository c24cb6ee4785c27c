"""The embedded videos as ARMORY hands them to an attack, and how well they are tracked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.boxes import iou
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.tracking import Frames
from benchmarks.scene import Scene


def walkers(split: str, count: int | None = None, frames: int | None = None) -> Iterator[Scene]:
    """The first videos of a split ("dev" or "mini"), each cut after some frames, if asked for."""
    folder = SPLITS / split
    for video in read_split(folder)[:count]:
        part = slice(frames)
        x = video.read_frames()[None, part].astype(np.float32) / np.float32(255)
        metadata = {"gs_coords": video.gs_coords[part], "masks": video.decode_masks()[part][..., None].repeat(3, -1)}
        yield Scene(x, [{"boxes": video.boxes_xyxy[part]}], [metadata])


def mean_iou(estimator: SiamRPNEstimator, frames: Frames, truth_xyxy: Tensor) -> float:
    """Of the tracked boxes with the true ones (F, 4), frame 0 skipped."""
    with torch.no_grad():
        boxes_xyxy = estimator.track(frames, truth_xyxy[0])
    return float(iou(boxes_xyxy.cpu(), truth_xyxy)[1:].mean())
