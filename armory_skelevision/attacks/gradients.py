"""How a video's boxes come to depend on its pixels: two ways to the same gradient.

"graph" keeps every frame's activations until the backward pass: the fastest, and its memory grows with the video.
"recompute" first tracks without a graph. Only the heads' outputs pass the gradient on from frame to frame, and the
windows are whole numbers without one; so the gradient at the outputs is known before the network's own backward pass,
which then runs over a few frames at a time, in windows that stay where they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import psutil
import torch
from torch import Tensor

from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.networks import RPNOutput, SiameseNetwork
from armory_skelevision.tracking import CropDefense, Crops, Frames, Step, TrackerSettings, Window
from armory_skelevision.tracking.tracker import run_tracker

Memory = Literal["auto", "graph", "recompute"]
Precision = Literal["float32", "bf16"]

# What the graph of one frame takes, in bytes per pixel of the search crop, all else of an attack included
# (benchmarks/attack.py: 0.77 GB for 20 frames, crops of 287 x 287, float32).
GRAPH_BYTES_PER_PIXEL = 470
# Frames whose activations "recompute" holds at a time.
CHUNK = 8


class Outcome(NamedTuple):
    """What a tracked video gave the attacker."""

    value: float
    """The objective."""
    gradient: Tensor | None
    """With respect to the source, of its shape; None where nothing that was seen depends on it."""


@dataclass(frozen=True)
class NetworkPass:
    """The network on the windows of a video, and the objective's gradient with respect to what the video shows.

    Attributes:
        network: Frozen and in evaluation mode.
        settings: Constants of the recurrence.
        memory: "graph", "recompute", or "auto": graph where it fits into half of the free memory.
        precision: Of the network; all else stays float32.
        defenses: What changes the crops that the network sees.
    """

    network: SiameseNetwork
    settings: TrackerSettings
    memory: Memory = "auto"
    precision: Precision = "float32"
    defenses: Sequence[CropDefense] = ()

    def value(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> float:
        """The objective alone."""
        with torch.no_grad():
            return float(_judge(self._track(frames, box_xyxy), objective))

    def value_and_gradient(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> Outcome:
        """The objective and its gradient with respect to ``source``, a leaf that the frames depend on."""
        if self.memory == "recompute" or (self.memory == "auto" and not self._fits(len(frames), source.device)):
            return self._recompute(frames, box_xyxy, objective, source)
        value = _judge(self._track(frames, box_xyxy), objective)
        gradient = torch.autograd.grad(value, source)[0] if value.requires_grad else None
        return Outcome(float(value.detach()), gradient)

    def _track(self, frames: Frames, box_xyxy: Tensor) -> list[Step]:
        crops = self._crops(frames, box_xyxy)
        template = self._embed(crops.template)

        def observe(index: int, window: Window) -> RPNOutput:
            return self._respond(template, crops.search(index, window))

        return list(run_tracker(observe, len(frames), (frames.width, frames.height), box_xyxy, self.settings))

    def _recompute(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> Outcome:
        outputs: list[RPNOutput] = []
        # The colour beyond the border is computed once, here, where its dependence on the source is kept.
        _ = frames.mean_colour
        crops = self._crops(frames, box_xyxy)
        with torch.no_grad():
            template = self._embed(crops.template)

        def observe(index: int, window: Window) -> RPNOutput:
            with torch.no_grad():
                output = self._respond(template, crops.search(index, window))
            outputs.append(RPNOutput(*(values.requires_grad_() for values in output)))
            return outputs[-1]

        steps = list(run_tracker(observe, len(frames), (frames.width, frames.height), box_xyxy, self.settings))
        value = _judge(steps, objective)
        leaves = [values for output in outputs for values in output]
        if not value.requires_grad:
            return Outcome(float(value), None)
        gradients = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
        pulls = [RPNOutput(*pair) for pair in zip(gradients[::2], gradients[1::2], strict=True)]
        return Outcome(float(value.detach()), self._pull_back(frames, box_xyxy, steps, pulls, source))

    def _pull_back(
        self, frames: Frames, box_xyxy: Tensor, steps: Sequence[Step], pulls: Sequence[RPNOutput], source: Tensor
    ) -> Tensor | None:
        """The gradient at the heads' outputs carried back to the source, through the same windows once more."""
        shown = self._crops(frames, box_xyxy)
        embedded = self._embed(shown.template)
        template = embedded.detach().requires_grad_(embedded.requires_grad)
        total: Tensor | None = None
        template_pull: Tensor | None = None
        for start in range(0, len(steps), CHUNK):
            chunk = range(start, min(start + CHUNK, len(steps)))
            crops = [shown.search(index, steps[index].window) for index in chunk]
            seen = [place for place, crop in enumerate(crops) if crop.requires_grad or template.requires_grad]
            if not seen:
                continue
            output = self._respond(template, torch.cat([crops[place] for place in seen]))
            pull = [torch.cat(parts) for parts in zip(*(pulls[chunk[place]] for place in seen), strict=True)]
            leaves = [source, template] if template.requires_grad else [source]
            # The colour beyond the border has a graph that the other chunks need too; this chunk's own ends here.
            found = torch.autograd.grad(output, leaves, pull, allow_unused=True, retain_graph=True)
            del output, crops
            total = _add(total, found[0])
            template_pull = _add(template_pull, found[-1] if template.requires_grad else None)
        if template_pull is not None:
            total = _add(total, torch.autograd.grad(embedded, source, template_pull)[0])
        return total

    def _crops(self, frames: Frames, box_xyxy: Tensor) -> Crops:
        return Crops(self.network, frames, box_xyxy, self.settings, self.defenses)

    def _embed(self, crops: Tensor) -> Tensor:
        return self._seen.embed(crops.contiguous(memory_format=torch.channels_last))

    def _respond(self, template: Tensor, crops: Tensor) -> RPNOutput:
        return self._seen.predict_head(template, self._embed(crops))

    @cached_property
    def _seen(self) -> SiameseNetwork:
        return self.network.rounded() if self.precision == "bf16" else self.network

    def _fits(self, frames: int, device: torch.device) -> bool:
        needed = frames * GRAPH_BYTES_PER_PIXEL * self.settings.instance_size**2
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
        return needed < free / 2


@dataclass(frozen=True)
class EstimatorPass:
    """Any of ART's object trackers, asked with whole frames: another maker's, or ours behind a preprocessor."""

    estimator: Any

    def value(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> float:
        """See `NetworkPass.value`."""
        with torch.no_grad():
            return float(objective(self._boxes(frames, box_xyxy), None))

    def value_and_gradient(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> Outcome:
        """See `NetworkPass.value_and_gradient`."""
        value = objective(self._boxes(frames, box_xyxy), None)
        gradient = torch.autograd.grad(value, source, allow_unused=True)[0] if value.requires_grad else None
        return Outcome(float(value.detach()), gradient)

    def _boxes(self, frames: Frames, box_xyxy: Tensor) -> Tensor:
        boxes_xyxy: Tensor = self.estimator.predict(frames.render()[None], y_init=box_xyxy[None])[0]["boxes"]
        return boxes_xyxy


def _judge(steps: Sequence[Step], objective: Objective) -> Tensor:
    return objective(torch.stack([step.box_xyxy for step in steps]), steps)


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    if part is None:
        return total
    return part if total is None else total + part
