"""Several videos tracked in lockstep: in each frame one call of the network, and of everything else, for all of them.

A GPU spends more time on starting kernels than on the arithmetic of networks this small, so that several videos take
hardly longer than one. The recurrence is that of `tracker`, with a further axis for the videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.tracking.crops import TemplateMatcher
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.tracking.tracker import Step, check_finite, choose, to_cpu, update
from armory_skelevision.tracking.windows import TrackerState, Window, initial_state, search_windows


class JointStep(NamedTuple):
    """One frame of the N videos that have it."""

    videos: list[int]
    """Their numbers."""
    windows: list[Window]
    """The search window in each."""
    previous: TrackerState
    """The states (N, 4) before this frame."""
    proposals: Proposals
    """The network's proposals in the windows, (N, K)."""
    state: TrackerState
    """The states (N, 4) after this frame."""
    chosen: Tensor
    """Indices (N,) of the proposals that the states follow."""

    @property
    def scores(self) -> Tensor:
        """The network's scores of the chosen proposals, (N,), in [0, 1]."""
        return self.proposals.at(self.chosen).scores

    @property
    def boxes_xyxy(self) -> Tensor:
        """The tracked boxes (N, 4), float32, in pixels of their frames."""
        return cxcywh_to_xyxy(self.state.box_cxcywh).to(torch.float32)

    def steps(self) -> Iterator[tuple[int, Step]]:
        """The number of each video, and its step."""
        boxes = zip(self.previous.box_cxcywh, self.state.box_cxcywh, strict=True)
        before, after = zip(*((TrackerState(one), TrackerState(other)) for one, other in boxes), strict=True)
        proposals = map(self.proposals.of, range(len(self.videos)))
        yield from zip(
            self.videos, map(Step, self.windows, before, proposals, after, self.chosen.tolist()), strict=True
        )


def track_in_lockstep(matchers: Sequence[TemplateMatcher]) -> Iterator[JointStep]:
    """The steps of tracking one target through each of several videos; they carry a graph where gradients are on.

    The results are those of `tracker.run_tracker`, but for the rounding of batches. Videos may differ in size and
    length; the step of a frame has those that are long enough.

    Args:
        matchers: Of each video, at least one; all with the same network and constants.

    Yields:
        The step of each frame, frame 0 included.
    """
    first, videos = matchers[0], [matcher.crops for matcher in matchers]
    settings = first.crops.settings
    state = initial_state(torch.stack([crops.box_xyxy.cpu() for crops in videos]), settings)
    sizes_wh = torch.tensor([(crops.frames.width, crops.frames.height) for crops in videos])
    together = replace(first, template_features=torch.cat([matcher.template_features for matcher in matchers]))
    running = list(range(len(videos)))
    for index in range(max(len(crops.frames) for crops in videos)):
        rows = [row for row, video in enumerate(running) if index < len(videos[video].frames)]
        if len(rows) < len(running):
            running = [running[row] for row in rows]
            state, sizes_wh = TrackerState(state.box_cxcywh[rows]), sizes_wh[rows]
            together = replace(together, template_features=together.template_features[rows])
        windows = search_windows(state, settings)
        found = [videos[video].search(index, window) for video, window in zip(running, windows, strict=True)]
        output = to_cpu(together.match(torch.cat(found)))
        check_finite(output, "the heads' output", index)
        proposals = settings.decode(output)
        chosen = choose(state, proposals, settings)
        following = update(state, proposals, chosen, sizes_wh, settings)
        yield JointStep(running, windows, state, proposals, following, chosen)
        state = following


def track_boxes(matchers: Sequence[TemplateMatcher]) -> list[tuple[Tensor, Tensor]]:
    """The boxes (F, 4), float32, and the scores (F,) of each video; see `track_in_lockstep`."""
    boxes_xyxy: list[list[Tensor]] = [[] for _ in matchers]
    scores: list[list[Tensor]] = [[] for _ in matchers]
    for step in track_in_lockstep(matchers):
        for video, box_xyxy, score in zip(step.videos, step.boxes_xyxy, step.scores, strict=True):
            boxes_xyxy[video].append(box_xyxy)
            scores[video].append(score)
    return [(torch.stack(boxes), torch.stack(found)) for boxes, found in zip(boxes_xyxy, scores, strict=True)]
