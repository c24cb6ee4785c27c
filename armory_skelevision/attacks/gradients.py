"""The objective of a tracked video and its gradient, through our own trackers or through any ART estimator.

For our own trackers there are two ways to the same gradient. "graph" keeps every frame's activations until the backward
pass: it is the fastest, and its memory grows with the length of the video. "recompute" first tracks without a graph.
From frame to frame only the heads' outputs carry a gradient, as windows are whole numbers without one; so the gradient
at the outputs is known before the network's own backward pass, which then runs over a few frames at a time, in the same
windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import psutil
import torch
from torch import Tensor

from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.networks import RPNOutput, SiameseNetwork
from armory_skelevision.tracking import (
    CropDefense,
    Crops,
    Frames,
    Step,
    TemplateMatcher,
    TrackerSettings,
    Window,
    track,
)
from armory_skelevision.tracking.lockstep import track_in_lockstep
from armory_skelevision.tracking.tracker import run_tracker

Memory = Literal["auto", "graph", "recompute"]
Precision = Literal["float32", "bf16"]

# Frames whose activations "recompute" holds at a time.
CHUNK = 8


class AttackedVideo(NamedTuple):
    """A video that an image on it shall change, and what the attack wants of it."""

    frames: Frames
    """The video with the image."""
    box_xyxy: Tensor
    """The target in frame 0, (4,), pixels."""
    objective: Objective
    """The higher the better."""
    source: Tensor
    """The image, a leaf of any shape that the frames depend on."""


class ValueAndGrad(NamedTuple):
    """An objective and its gradient."""

    value: float
    grad: Tensor | None
    """With respect to the source, of its shape; None if the value does not depend on the source."""


class TrackerGradient(ABC):
    """Differentiates the objective of a tracked video."""

    settings: TrackerSettings | None
    """Constants of the tracker; None for an estimator whose internals are not known."""

    def value(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> float:
        """The objective of ``frames``, tracked from the box (4,) in frame 0, in pixels."""
        with torch.no_grad():
            return float(self._evaluate(frames, box_xyxy, objective))

    def value_and_grad(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> ValueAndGrad:
        """The objective and its gradient with respect to ``source``, a leaf of any shape that the frames depend on."""
        value = self._evaluate(frames, box_xyxy, objective)
        grad = torch.autograd.grad(value, source, allow_unused=True)[0] if value.requires_grad else None
        return ValueAndGrad(float(value.detach()), grad)

    def evaluate_all(self, videos: Sequence[AttackedVideo], with_grad: bool) -> list[ValueAndGrad]:
        """The objective of each of several videos, with its gradient if wanted."""
        if with_grad:
            return [self.value_and_grad(*video) for video in videos]
        return [ValueAndGrad(self.value(*video[:3]), None) for video in videos]

    @abstractmethod
    def _evaluate(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> Tensor:
        """The objective, a scalar, with a graph where gradients are on."""


@dataclass(frozen=True)
class CropGradient(TrackerGradient):
    """Gradient through the crops of one of our own trackers.

    Attributes:
        network: Frozen and in evaluation mode.
        settings: Constants of the tracker.
        memory: "graph", "recompute", or "auto": graph where it fits into half of the free memory.
        precision: Of the network; everything else stays float32.
        defenses: Applied to the crops, in this order.
    """

    network: SiameseNetwork
    settings: TrackerSettings
    memory: Memory = "auto"
    precision: Precision = "float32"
    defenses: Sequence[CropDefense] = ()

    def value_and_grad(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> ValueAndGrad:
        """See `TrackerGradient.value_and_grad`."""
        if self._keeps_graph(len(frames), source.device):
            return super().value_and_grad(frames, box_xyxy, objective, source)
        return self._recompute(frames, box_xyxy, objective, source)

    def evaluate_all(self, videos: Sequence[AttackedVideo], with_grad: bool) -> list[ValueAndGrad]:
        """See `TrackerGradient.evaluate_all`. On a GPU, in lockstep where the graph of all fits."""
        device, frames = videos[0].source.device, sum(len(video.frames) for video in videos)
        if len(videos) > 1 and device.type != "cpu" and (not with_grad or self._keeps_graph(frames, device)):
            return self._evaluate_in_lockstep(videos, with_grad)
        return super().evaluate_all(videos, with_grad)

    def _evaluate_in_lockstep(self, videos: Sequence[AttackedVideo], with_grad: bool) -> list[ValueAndGrad]:
        with torch.set_grad_enabled(with_grad):
            crops = [self._crops(video.frames, video.box_xyxy) for video in videos]
            steps: list[list[Step]] = [[] for _ in videos]
            for joint in track_in_lockstep([TemplateMatcher.embed_template(each, self._network) for each in crops]):
                for number, step in joint.steps():
                    steps[number].append(step)
            values = [_apply(video.objective, each) for video, each in zip(videos, steps, strict=True)]
        dependent = [value for value in values if value.requires_grad]
        sources = [video.source for video in videos]
        # Each value depends on its own source alone, so the gradient of the sum has those of all of them.
        total = torch.stack(dependent).sum() if dependent else None
        grads = [None] * len(videos) if total is None else torch.autograd.grad(total, sources, allow_unused=True)
        return [ValueAndGrad(float(value.detach()), grad) for value, grad in zip(values, grads, strict=True)]

    def _evaluate(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> Tensor:
        return _apply(objective, list(track(self._crops(frames, box_xyxy), self._network)))

    def _recompute(self, frames: Frames, box_xyxy: Tensor, objective: Objective, source: Tensor) -> ValueAndGrad:
        # The colour beyond the border is computed once, here, where its dependence on the source is kept.
        _ = frames.mean_colour
        crops = self._crops(frames, box_xyxy)
        outputs: list[RPNOutput] = []
        with torch.no_grad():
            matcher = TemplateMatcher.embed_template(crops, self._network)

        def match(index: int, window: Window) -> RPNOutput:
            with torch.no_grad():
                output = matcher(index, window)
            outputs.append(RPNOutput(*(values.requires_grad_() for values in output)))
            return outputs[-1]

        steps = list(run_tracker(match, crops))
        value = _apply(objective, steps)
        if not value.requires_grad:
            return ValueAndGrad(float(value), None)
        leaves = [values for output in outputs for values in output]
        grads = torch.autograd.grad(value, leaves, materialize_grads=True)
        output_grads = [RPNOutput(*pair) for pair in zip(grads[::2], grads[1::2], strict=True)]
        windows = [step.window for step in steps]
        grad = self._backward(self._crops(frames, box_xyxy), windows, output_grads, source)
        return ValueAndGrad(float(value.detach()), grad)

    def _backward(
        self, crops: Crops, windows: Sequence[Window], output_grads: Sequence[RPNOutput], source: Tensor
    ) -> Tensor | None:
        """The gradient at the heads' outputs propagated to the source, through the same windows again."""
        matcher = TemplateMatcher.embed_template(crops, self._network)
        embedded = matcher.template_features
        template = embedded.detach().requires_grad_(embedded.requires_grad)
        matcher = replace(matcher, template_features=template)
        grad: Tensor | None = None
        template_grad: Tensor | None = None
        for start in range(0, len(windows), CHUNK):
            chunk = range(start, min(start + CHUNK, len(windows)))
            searched = {index: crops.search(index, windows[index]) for index in chunk}
            searched = {i: crop for i, crop in searched.items() if crop.requires_grad or template.requires_grad}
            if not searched:
                continue
            output = matcher.match(torch.cat(list(searched.values())))
            output_grad = [torch.cat(parts) for parts in zip(*(output_grads[i] for i in searched), strict=True)]
            leaves = [source, template] if template.requires_grad else [source]
            # The colour beyond the border has a graph that the other chunks need too; this chunk's own ends here.
            found = torch.autograd.grad(output, leaves, output_grad, allow_unused=True, retain_graph=True)
            del output, searched
            grad = _add(grad, found[0])
            template_grad = _add(template_grad, found[-1] if template.requires_grad else None)
        if template_grad is not None:
            grad = _add(grad, torch.autograd.grad(embedded, source, template_grad)[0])
        return grad

    def _crops(self, frames: Frames, box_xyxy: Tensor) -> Crops:
        return Crops(self.network, frames, box_xyxy, self.settings, self.defenses)

    @cached_property
    def _network(self) -> SiameseNetwork:
        return self.network.rounded() if self.precision == "bf16" else self.network

    def _keeps_graph(self, frames: int, device: torch.device) -> bool:
        return self.memory == "graph" or (self.memory == "auto" and self._fits(frames, device))

    def _fits(self, frames: int, device: torch.device) -> bool:
        needed = frames * self.network.graph_bytes_per_pixel * self.settings.instance_size**2
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
        return needed < free / 2


@dataclass(frozen=True)
class EstimatorGradient(TrackerGradient):
    """Gradient through whole frames and any of ART's object trackers.

    Used for third-party trackers, and for ours behind preprocessors of whole frames.
    """

    estimator: Any
    settings: TrackerSettings | None = None

    def _evaluate(self, frames: Frames, box_xyxy: Tensor, objective: Objective) -> Tensor:
        return objective(self.estimator.predict(frames.render()[None], y_init=box_xyxy[None])[0]["boxes"], None)


def _apply(objective: Objective, steps: Sequence[Step]) -> Tensor:
    return objective(torch.stack([step.box_xyxy for step in steps]), steps)


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    if part is None:
        return total
    return part if total is None else total + part
