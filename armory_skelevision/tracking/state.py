"""The state that passes from frame to frame, and the windows that follow from it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.windows import Window, centred_window, context_side


class TrackerState(NamedTuple):
    """The tracker's state: the box (4,) as centre and size in frame pixels, float64."""

    box_cxcywh: Tensor


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
