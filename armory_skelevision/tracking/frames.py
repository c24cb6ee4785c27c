"""Sources of pixels for a tracker.

A tracker reads one window per frame and nothing else, so an attack that changes frames needs to compute only these
windows: it is another `Frames`. Whole frames come from the same object where something needs them, and the window of a
whole frame equals the window read directly.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.tracking.windows import Window

Region = tuple[slice, slice]
"""Rows and columns, as slices with a start and a stop."""


class Frames(ABC):
    """A video as a source of windows, RGB in [0, 1].

    Args:
        count: Number of frames.
        height: Frame height in pixels.
        width: Frame width in pixels.
    """

    def __init__(self, count: int, height: int, width: int) -> None:
        self.count = count
        self.height = height
        self.width = width

    def __len__(self) -> int:
        """Number of frames."""
        return self.count

    @abstractmethod
    def pixels(self, index: int, region: Region) -> Tensor:
        """A region of frame ``index`` that lies inside the frame: (3, rows, columns), RGB in [0, 1]."""

    @cached_property
    def mean_colour(self) -> Tensor:
        """Mean of each channel over frame 0, (3,), in [0, 1]: the padding beyond the border of every frame."""
        return self.frame(0).mean(dim=(1, 2))

    def window(self, index: int, window: Window) -> Tensor:
        """The pixels of a window of frame ``index``, `mean_colour` outside the frame: (3, side, side)."""
        region, place = inner_region(window, self.width, self.height)
        pixels = self.pixels(index, region)
        if pixels.shape[1:] == (window.side, window.side):
            return pixels
        canvas = self.mean_colour[:, None, None].repeat(1, window.side, window.side)
        canvas[:, place[0], place[1]] = pixels
        return canvas

    def render(self) -> Tensor:
        """The whole video (F, H, W, 3), RGB in [0, 1]."""
        return torch.stack([self.frame(index).permute(1, 2, 0) for index in range(len(self))])

    def frame(self, index: int) -> Tensor:
        """A whole frame (3, H, W), RGB in [0, 1]."""
        return self.pixels(index, (slice(0, self.height), slice(0, self.width)))


class VideoFrames(Frames):
    """A plain video (F, H, W, 3), RGB in [0, 1]; gradients flow back to it."""

    def __init__(self, video: Tensor) -> None:
        super().__init__(*video.shape[:3])
        self.video = video

    def pixels(self, index: int, region: Region) -> Tensor:
        """See `Frames.pixels`."""
        return self.video[index, region[0], region[1]].permute(2, 0, 1)


class ChosenFrames(Frames):
    """The frames of a video that have the given indices, in their order."""

    def __init__(self, frames: Frames, indices: Sequence[int]) -> None:
        super().__init__(len(indices), frames.height, frames.width)
        self.frames = frames
        self.indices = indices

    def pixels(self, index: int, region: Region) -> Tensor:
        """See `Frames.pixels`."""
        return self.frames.pixels(self.indices[index], region)


def inner_region(window: Window, width: int, height: int) -> tuple[Region, Region]:
    """The part of a window that lies inside the frame, in frame and in window coordinates (both empty if none does)."""
    rows, inner_rows = _overlap(window.y_min, window.side, height)
    columns, inner_columns = _overlap(window.x_min, window.side, width)
    return (rows, columns), (inner_rows, inner_columns)


def as_tensor(video: Any, device: torch.device) -> Tensor:
    """A video (any shape), array or tensor, as a tensor on ``device``; not copied if on the CPU; see `native_array`."""
    if isinstance(video, Tensor):
        return video.to(device)
    array = native_array(video)
    with warnings.catch_warnings():
        # PyTorch warns of ARMORY's arrays, as they are read-only; nothing here writes to them.
        warnings.simplefilter("ignore")
        return torch.from_numpy(array).to(device)


def native_array(values: Any) -> np.ndarray:
    """An array in a layout that PyTorch can share, copied only if it has another.

    That is this machine's byte order, no negative strides, and at most 64 bits a number.
    """
    array = np.asarray(values)
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    strides_fit = all(stride >= 0 and stride % (array.itemsize or 1) == 0 for stride in array.strides)
    if array.dtype.isnative and array.flags.aligned and strides_fit:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="))


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    first = min(max(start, 0), limit)
    last = max(min(start + length, limit), first)
    return slice(first, last), (slice(first - start, last - start) if last > first else slice(0, 0))
