"""The geometry between a frame and the crops that the network sees, and the state that it follows from.

Convention: a window is a square of whole pixels, ``x_min`` and ``y_min`` being its first column and row, which may lie
outside the frame. Its place and size are constants to the gradient, as they are whole numbers (PySOT's get_subwindow).
SiamFC++ samples its crops between pixels instead (video_analyst's get_subwindow_tracking): its window encloses the
samples, and ``shift_xy`` says where they begin, a constant to the gradient too.
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
    shift_xy: tuple[float, float] | None = None
    """Distance, in [0, 1) pixels, of the first sample from the middle of the first pixel; None for a crop of it all."""


class TrackerState(NamedTuple):
    """The tracker's state: the box (4,) as centre and size in frame pixels, float64; (N, 4) of N videos."""

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


def sampled_window(cx: float, cy: float, side: float) -> Window:
    """The window around samples of a square of (rounded) ``side`` around a centre, all in pixels of the frame."""
    whole = max(2, round(side))
    x, y = cx - whole / 2, cy - whole / 2
    x_min, y_min = math.floor(x), math.floor(y)
    return Window(x_min, y_min, whole + 1, (x - x_min, y - y_min))


def cut_crop(pixels: Tensor, window: Window, size: int) -> Tensor:
    """The crop (3, size, size) from the pixels (3, side, side) of a window."""
    if window.shift_xy is None:
        return resize_crop(pixels, size)
    # The samples lie on a grid whose first and last points are the middles of the square's first and last pixels.
    steps = torch.linspace(0, window.side - 2, size, dtype=torch.float64, device=pixels.device)
    x, y = (2 * (steps + shift) / (window.side - 1) - 1 for shift in window.shift_xy)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    return F.grid_sample(pixels[None], grid.to(pixels), padding_mode="border", align_corners=True)[0]


def crop_placement(window: Window, size: int) -> tuple[float, float, float]:
    """The middle of a window's crop, x and y in pixels of the frame, and the crop's pixels per pixel of the frame."""
    if window.shift_xy is None:
        middle = window.side / 2
        return window.x_min + middle, window.y_min + middle, size / window.side
    middle = (window.side - 1) / 2
    shift_x, shift_y = window.shift_xy
    return window.x_min + shift_x + middle, window.y_min + shift_y + middle, (size - 1) / (window.side - 2)


def resize_crop(crop: Tensor, size: int) -> Tensor:
    """Resize (3, s, s) to (3, size, size): bilinear, half-pixel centres, no anti-aliasing, as OpenCV's INTER_LINEAR."""
    if crop.shape[-1] == size:
        return crop
    return F.interpolate(crop[None], size=(size, size), mode="bilinear")[0]


def network_input(crops: Tensor) -> Tensor:
    """Convert RGB in [0, 1] to the network's BGR in 0..255, (N, 3, s, s); the only place that converts colours."""
    return crops.flip(1) * 255.0


def initial_state(box_xyxy: Tensor, settings: TrackerSettings) -> TrackerState:
    """The state for a first box (4,) in pixels, or for those of N videos, (N, 4).

    Its centre lies on the middle pixel, hence the half pixel (PySOT), unless crops are sampled between pixels.
    """
    x1, y1, x2, y2 = box_xyxy.to(torch.float64).unbind(-1)
    pixel = 0 if settings.between_pixels else 1
    return TrackerState(torch.stack([(x1 + x2 - pixel) / 2, (y1 + y2 - pixel) / 2, x2 - x1, y2 - y1], dim=-1))


def template_window(state: TrackerState, settings: TrackerSettings) -> Window:
    """The window of frame 0 that becomes the template."""
    return _window(state, settings, 1.0)


def search_window(state: TrackerState, settings: TrackerSettings) -> Window:
    """The search window: the template's window, larger by instance_size / exemplar_size."""
    return _window(state, settings, settings.instance_size / settings.exemplar_size)


def search_windows(states: TrackerState, settings: TrackerSettings) -> list[Window]:
    """The search windows of N videos; see `search_window`."""
    return _windows(states, settings, settings.instance_size / settings.exemplar_size)


def _window(state: TrackerState, settings: TrackerSettings, factor: float) -> Window:
    return _windows(TrackerState(state.box_cxcywh[None]), settings, factor)[0]


def _windows(states: TrackerState, settings: TrackerSettings, factor: float) -> list[Window]:
    place = sampled_window if settings.between_pixels else centred_window
    cx, cy, width, height = states.box_cxcywh.detach().unbind(-1)
    places = torch.stack([cx, cy, context_side(width, height, settings.context) * factor], dim=1)
    return [place(*values) for values in places.tolist()]
