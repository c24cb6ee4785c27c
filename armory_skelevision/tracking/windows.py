"""The geometry between a frame and the crops that the network sees, and the state that it follows from.

Convention: a window is a square of whole pixels, ``x_min`` and ``y_min`` being its first column and row, which may lie
outside the frame. Its place and size are constants to the gradient, as they are whole numbers (PySOT's get_subwindow).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.tracking.settings import TrackerSettings


class Window(NamedTuple):
    """A square cut-out of a frame, in whole pixels."""

    x_min: int
    y_min: int
    side: int


class TrackerState(NamedTuple):
    """The tracker's state: the box (4,) as centre and size in frame pixels, float64."""

    box_cxcywh: Tensor


def context_side(width: Tensor, height: Tensor, context: float) -> Tensor:
    """Side of the square around a box with its context, in unrounded pixels (SiamFC, Bertinetto et al. 2016, Eq. 15).

    ``context`` is the share of (width + height), in pixels and of any shape, that is added to each side.
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
    return F.interpolate(crop[None], size=(size, size), mode="bilinear")[0]


def network_input(crops: Tensor) -> Tensor:
    """Convert RGB in [0, 1] to the network's BGR in 0..255, (N, 3, s, s); the only place that converts colours."""
    return crops.flip(1) * 255.0


def initial_state(box_xyxy: Tensor) -> TrackerState:
    """The state for a first box (4,) in pixels. Its centre lies on the middle pixel, hence the half pixel (PySOT)."""
    x1, y1, x2, y2 = box_xyxy.to(torch.float64).unbind(-1)
    return TrackerState(torch.stack([(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2, x2 - x1, y2 - y1]))


def template_window(state: TrackerState, settings: TrackerSettings) -> Window:
    """The window of frame 0 that becomes the template."""
    cx, cy, width, height = state.box_cxcywh.detach()
    return centred_window(cx.item(), cy.item(), context_side(width, height, settings.context).item())


def search_window(state: TrackerState, settings: TrackerSettings) -> Window:
    """The search window: the template's window, larger by instance_size / exemplar_size."""
    cx, cy, width, height = state.box_cxcywh.detach()
    side = context_side(width, height, settings.context).item()
    return centred_window(cx.item(), cy.item(), side * (settings.instance_size / settings.exemplar_size))
