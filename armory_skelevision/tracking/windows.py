"""The geometry between a frame and the crops that the network sees.

Convention: a window is a square of whole pixels, ``x_min`` and ``y_min`` being its first column and row, which may lie
outside the frame. Its place and size are constants to the gradient, as they are whole numbers (PySOT's get_subwindow).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Window(NamedTuple):
    """A square cut-out of a frame, in whole pixels."""

    x_min: int
    y_min: int
    side: int


def context_side(width: Tensor, height: Tensor, context: float) -> Tensor:
    """Side of the square around a box with its context, in unrounded pixels (SiamFC, Bertinetto et al. 2016, Eq. 15).

    Args:
        width: Box width in pixels, any shape.
        height: Box height in pixels, any shape.
        context: Share of (width + height) added to each side; 0.5 in the papers.

    Returns:
        A tensor of the same shape.
    """
    margin = context * (width + height)
    return ((width + margin) * (height + margin)).sqrt()


def centred_window(cx: float, cy: float, side: float) -> Window:
    """The window of (rounded) ``side`` around a centre, all in pixels of the frame, with PySOT's rounding."""
    whole = max(1, round(side))
    half = (whole + 1) / 2
    return Window(math.floor(cx - half + 0.5), math.floor(cy - half + 0.5), whole)


def resize_crop(crop: Tensor, size: int) -> Tensor:
    """Resize (3, s, s) to (3, size, size): bilinear, half-pixel centres, no anti-aliasing, as OpenCV's INTER_LINEAR."""
    if crop.shape[-1] == size:
        return crop
    return F.interpolate(crop[None], size=(size, size), mode="bilinear", align_corners=False)[0]


def network_input(crops: Tensor) -> Tensor:
    """Convert RGB in [0, 1] to the network's BGR in 0..255, (N, 3, s, s); the only place that converts colours."""
    return crops.flip(1) * 255.0
