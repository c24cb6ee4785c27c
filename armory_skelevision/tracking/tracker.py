"""The recurrence of Siamese tracking (SiamRPN: Li et al. 2018, section 4.2; arithmetic as in PySOT, rounding included).

Pure functions: the state goes in and the next state comes out. Only four numbers pass from frame to frame, kept in
float64 so that the rounding of windows does not depend on the network's precision. Everything is differentiable from
the boxes back to the pixels, save the choice of the best proposal and the windows' whole-numbered places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.networks import RPNOutput, SiameseNetwork
from armory_skelevision.tracking.crops import Crops, TemplateMatcher
from armory_skelevision.tracking.proposals import Proposals, cosine_window
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.windows import TrackerState, Window, context_side, initial_state, search_window
from armory_skelevision.validation import InvalidValueError


class Step(NamedTuple):
    """One frame of a tracked video."""

    window: Window
    """The search window."""
    previous: TrackerState
    """The state before this frame."""
    proposals: Proposals
    """The network's proposals in the window."""
    state: TrackerState
    """The state after this frame."""
    chosen: int
    """Index of the proposal that the state follows."""

    @property
    def score(self) -> Tensor:
        """The network's score of the chosen proposal: a scalar in [0, 1]."""
        return self.proposals.scores[self.chosen]

    @property
    def box_xyxy(self) -> Tensor:
        """The tracked box (4,), float32, in pixels of the frame."""
        return cxcywh_to_xyxy(self.state.box_cxcywh).to(torch.float32)


def crop_scale(state: TrackerState, settings: TrackerSettings) -> Tensor:
    """Pixels of the search crop per pixel of the frame, a scalar tensor, or (N,) of N videos."""
    return settings.exemplar_size / context_side(state.box_cxcywh[..., 2], state.box_cxcywh[..., 3], settings.context)


def penalized_scores(state: TrackerState, proposals: Proposals, settings: TrackerSettings) -> Tensor:
    """The scores by which the tracker chooses among K proposals: (K,), or (N, K) of N videos, float64, near [0, 1].

    Scores are penalised for changes of shape and blended with the cosine window; the highest wins.
    """
    boxes_cxcywh = proposals.boxes_cxcywh.to(torch.float64)
    penalty = _shape_penalty(boxes_cxcywh, _size_in_crop(state, settings).unsqueeze(-2), settings)
    score_size = math.isqrt(proposals.scores.shape[-1] // settings.per_position)
    hann = cosine_window(score_size, settings.per_position)
    return penalty * proposals.scores * (1 - settings.window_influence) + hann * settings.window_influence


def choose(state: TrackerState, proposals: Proposals, settings: TrackerSettings) -> Tensor:
    """Index of the proposal with the highest penalised score, a scalar, or (N,) of N videos."""
    with torch.no_grad():
        return penalized_scores(state, proposals, settings).argmax(dim=-1)


def update(
    state: TrackerState,
    proposals: Proposals,
    chosen: int | Tensor,
    frame_wh: tuple[int, int] | Tensor,
    settings: TrackerSettings,
) -> TrackerState:
    """The next state: the ``chosen`` one of the proposals in the window of ``state``, its size smoothed.

    It is kept inside the frame, of ``frame_wh`` pixels. Only this proposal's graph is kept. Of N videos, the states
    (N, 4) by the proposals (N, K), the chosen (N,) and the sizes of the frames (N, 2).
    """
    found = proposals.at(chosen)
    found_cxcywh = found.boxes_cxcywh.to(torch.float64)
    scale = crop_scale(state, settings).unsqueeze(-1)
    previous_wh = state.box_cxcywh[..., 2:]
    penalty = _shape_penalty(found_cxcywh, previous_wh * scale, settings)
    rate = (penalty * found.scores * settings.learning_rate).unsqueeze(-1)
    centre = state.box_cxcywh[..., :2] + found_cxcywh[..., :2] / scale
    size = previous_wh * (1 - rate) + found_cxcywh[..., 2:] / scale * rate
    limit = torch.as_tensor(frame_wh)
    # Centres count from the middle of the first pixel, unless crops are sampled between pixels.
    first = 0.5 if settings.between_pixels else 0.0
    centre = torch.minimum(centre.clamp(min=first), limit + first)
    size = torch.minimum(size, limit).clamp(min=settings.min_size)
    return TrackerState(torch.cat([centre, size], dim=-1))


def track(crops: Crops, network: SiameseNetwork | None = None) -> Iterator[Step]:
    """The steps of tracking one target through a video, frame 0 included; they carry a graph where gradients are on.

    ``network`` is used in place of ``crops.network``, for instance its copy in bfloat16.
    """
    return run_tracker(TemplateMatcher.embed_template(crops, network), crops)


def run_tracker(match: Callable[[int, Window], RPNOutput], crops: Crops) -> Iterator[Step]:
    """The recurrence from frame to frame, with any source of network outputs.

    It runs on the CPU wherever the network does: one copy per frame instead of a wait at every small operation.

    Args:
        match: The heads' output (batch of 1) for the search window of a frame; a `TemplateMatcher` or a wrapper of one.
        crops: The video, the target and the constants of the tracker.

    Yields:
        The step of each frame, frame 0 included.
    """
    state = initial_state(crops.box_xyxy.cpu(), crops.settings)
    for index in range(len(crops.frames)):
        step = track_frame(match, crops, index, state)
        state = step.state
        yield step


def track_frame(match: Callable[[int, Window], RPNOutput], crops: Crops, index: int, state: TrackerState) -> Step:
    """One step of the recurrence: find the target of ``state`` in frame ``index``; see `run_tracker`.

    Raises:
        InvalidValueError: If the network's output is not finite, as with weights that are damaged.
    """
    window = search_window(state, crops.settings)
    output = to_cpu(match(index, window))
    check_finite(output, "the heads' output", index)
    proposals = crops.settings.decode(output).of(0)
    chosen = int(choose(state, proposals, crops.settings))
    frame_wh = (crops.frames.width, crops.frames.height)
    return Step(window, state, proposals, update(state, proposals, chosen, frame_wh, crops.settings), chosen)


def check_finite(outputs: Iterable[Tensor], what: str, index: int) -> None:
    """Refuse outputs of the network for frame ``index`` that are not finite (`InvalidValueError`)."""
    if not all(bool(torch.isfinite(values).all()) for values in outputs):
        fix = "its weights or its input are damaged: `skelevision weights verify`, or another precision"
        raise InvalidValueError(
            "model", "a network with finite outputs", f"NaN or infinity in {what}, frame {index}", fix
        )


def to_cpu(output: RPNOutput) -> RPNOutput:
    """A network's output in float32 on the CPU: from a GPU in one copy, since each waits for the GPU, also backward."""
    if output.cls.device.type == "cpu":
        return RPNOutput(*(values.float() for values in output))
    copied = torch.cat([values.float().flatten() for values in output]).cpu()
    parts = torch.split(copied, [values.numel() for values in output])
    return RPNOutput(*(part.view(values.shape) for part, values in zip(parts, output, strict=True)))


def _shape_penalty(boxes_cxcywh: Tensor, previous_wh: Tensor, settings: TrackerSettings) -> Tensor:
    """Near 1 for boxes of the previous shape and size, falling with their change (Li et al. 2018, Eq. 12)."""
    width, height = boxes_cxcywh[..., 2], boxes_cxcywh[..., 3]
    previous_width, previous_height = previous_wh[..., 0], previous_wh[..., 1]
    previous_side = context_side(previous_width, previous_height, settings.context)
    size_change = _change(context_side(width, height, settings.context) / previous_side)
    ratio_change = _change((previous_width / previous_height) / (width / height))
    return torch.exp(-(ratio_change * size_change - 1) * settings.penalty_k)


def _size_in_crop(state: TrackerState, settings: TrackerSettings) -> Tensor:
    """Width and height of the target in the search crop's pixels, (2,), or (N, 2) of N videos."""
    return state.box_cxcywh[..., 2:] * crop_scale(state, settings).unsqueeze(-1)


def _change(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)
