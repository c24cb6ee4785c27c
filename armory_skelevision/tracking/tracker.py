"""The recurrence of Siamese tracking (SiamRPN: Li et al. 2018, section 4.2; arithmetic as in PySOT, rounding included).

Pure functions: the state goes in and the next state comes out. Only four numbers pass from frame to frame, kept in
float64 so that the rounding of windows does not depend on the network's precision. Everything is differentiable from
the boxes back to the pixels, save the choice of the best proposal and the windows' whole-numbered places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking.crops import Crops
from armory_skelevision.tracking.proposals import Proposals, cosine_window
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.state import State, initial_state, search_window
from armory_skelevision.tracking.windows import Window, context_side


class Step(NamedTuple):
    """What happened in one frame."""

    window: Window
    """Where the target was sought."""
    previous: State
    """The state before."""
    proposals: Proposals
    """What the network proposed there."""
    state: State
    """The state after."""

    @property
    def box_xyxy(self) -> Tensor:
        """The tracked box (4,), float32."""
        return cxcywh_to_xyxy(self.state.box_cxcywh).to(torch.float32)


def propose(output: RPNOutput, settings: TrackerSettings) -> Proposals:
    """What the network's output (batch of 1) for a search window proposes, on the CPU; see `run_tracker`."""
    return settings.decode(RPNOutput(*(values.float().cpu() for values in output)))


def crop_scale(state: State, settings: TrackerSettings) -> Tensor:
    """Pixels of the search crop for each pixel of the frame."""
    return settings.exemplar_size / context_side(state.box_cxcywh[2], state.box_cxcywh[3], settings.context)


def penalized_scores(state: State, proposals: Proposals, settings: TrackerSettings) -> Tensor:
    """By what the tracker chooses among K proposals, (K,), float64, the highest first.

    Scores, penalised for changes of shape and weighed against the distance from the crop's middle.
    """
    scores, boxes_cxcywh = proposals.scores.to(torch.float64), proposals.boxes_cxcywh.to(torch.float64)
    penalty = _shape_penalty(boxes_cxcywh, state.box_cxcywh[2:] * crop_scale(state, settings), settings)
    score_size = math.isqrt(len(scores) // settings.per_position)
    hann = cosine_window(score_size, settings.per_position).to(scores.device)
    return penalty * scores * (1 - settings.window_influence) + hann * settings.window_influence


def update(state: State, proposals: Proposals, frame_wh: tuple[int, int], settings: TrackerSettings) -> State:
    """The next state: the best proposal, penalised for changes of shape and distance, smoothed, kept in the frame."""
    scale = crop_scale(state, settings)
    with torch.no_grad():
        best = int(penalized_scores(state, proposals, settings).argmax())
    # From here on only the chosen proposal matters, and only its graph is kept.
    found_cxcywh = proposals.boxes_cxcywh[best].to(torch.float64)
    penalty = _shape_penalty(found_cxcywh, state.box_cxcywh[2:] * scale, settings)
    rate = penalty * proposals.scores[best].to(torch.float64) * settings.learning_rate
    centre = state.box_cxcywh[:2] + found_cxcywh[:2] / scale
    size = state.box_cxcywh[2:] * (1 - rate) + found_cxcywh[2:] / scale * rate
    limit = torch.tensor(frame_wh, dtype=torch.float64, device=centre.device)
    centre = torch.minimum(centre.clamp(min=0), limit)
    size = torch.minimum(size, limit).clamp(min=settings.min_size)
    return State(torch.cat([centre, size]))


def run_tracker(
    observe: Callable[[int, Window], RPNOutput],
    count: int,
    frame_wh: tuple[int, int],
    box_xyxy: Tensor,
    settings: TrackerSettings,
) -> Iterator[Step]:
    """The recurrence from frame to frame, whoever looks into the windows.

    It runs on the CPU wherever the network does: one transfer a frame instead of a wait at every small operation.

    Args:
        observe: The heads' output (batch of 1) for the search window of a frame: (frame, window) to output.
        count: Number of frames.
        frame_wh: Width and height of the frames in pixels.
        box_xyxy: The target in frame 0, (4,), pixels.
        settings: Constants of the recurrence.

    Yields:
        What happened in each frame, frame 0 included.
    """
    state = initial_state(box_xyxy.cpu())
    for index in range(count):
        window = search_window(state, settings)
        output = observe(index, window)
        proposals = propose(output, settings)
        previous, state = state, update(state, proposals, frame_wh, settings)
        yield Step(window, previous, proposals, state)


def track(crops: Crops) -> Iterator[Step]:
    """Track one target through a video, frame 0 included.

    Args:
        crops: The video and the target, as the network sees them.

    Yields:
        What happened in each frame; carries a graph where gradients are on.
    """
    network, frames = crops.network, crops.frames
    template = network.embed(crops.template)

    def observe(index: int, window: Window) -> RPNOutput:
        return network.predict_head(template, network.embed(crops.search(index, window)))

    yield from run_tracker(observe, len(frames), (frames.width, frames.height), crops.box_xyxy, crops.settings)


def _shape_penalty(boxes_cxcywh: Tensor, previous_wh: Tensor, settings: TrackerSettings) -> Tensor:
    """Near 1 for boxes of the previous shape and size, falling with their change (Li et al. 2018, Eq. 12)."""
    width, height = boxes_cxcywh[..., 2], boxes_cxcywh[..., 3]
    previous_side = context_side(previous_wh[0], previous_wh[1], settings.context)
    size_change = _change(context_side(width, height, settings.context) / previous_side)
    ratio_change = _change((previous_wh[0] / previous_wh[1]) / (width / height))
    return torch.exp(-(ratio_change * size_change - 1) * settings.penalty_k)


def _change(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)
