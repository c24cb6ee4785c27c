"""The embedded videos as ARMORY hands them to an attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scene import Scene

import armory_skelevision.walkers
from armory_skelevision.datasets.walker_files import read_split


def walkers(split: str, count: int | None = None, frames: int | None = None) -> Iterator[Scene]:
    """The first videos of a split ("dev" or "mini"), each cut after some frames, if asked for."""
    folder = Path(armory_skelevision.walkers.__file__).parent / "splits" / split
    for video in read_split(folder)[:count]:
        part = slice(frames)
        x = video.read_frames()[None, part].astype(np.float32) / np.float32(255)
        metadata = {"gs_coords": video.gs_coords[part], "masks": video.decode_masks()[part][..., None].repeat(3, -1)}
        yield Scene(x, [{"boxes": video.boxes_xyxy[part]}], [metadata])
