"""The training loss of a tracker on the first frame, as a function of the template.

That of SiamRPN (Li et al. 2018, section 3.2) or of SiamFC++ (Xu et al. 2020, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from armory_skelevision.networks import AnchorNetwork, RPNOutput, SiameseNetwork, SiamFCpp
from armory_skelevision.tracking import Crops, TrackerSettings, TrackerState, Window, network_input
from armory_skelevision.tracking.anchors import Match, anchors_cxcywh, match
from armory_skelevision.tracking.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    classification_loss,
    localisation_loss,
)
from armory_skelevision.tracking.quality_losses import point_loss
from armory_skelevision.tracking.tracker import to_cpu
from armory_skelevision.tracking.windows import crop_placement, initial_state, search_window, template_window
from armory_skelevision.validation import InvalidValueError

# As in the training of the trackers (PySOT): the largest shift, in template sides, and the largest change of scale.
MAX_SHIFT = 64 / 127
MAX_SCALE = 0.18
# IoU with the true box from which on a proposal is one of the target, and below which it is one of something else.
ON_TARGET, ELSEWHERE = 0.5, 0.2


class FirstFrameLoss:
    """The loss over some search crops of frame 0; all labelled anchors count, without the sampling of training.

    The features of the search crops are computed once.

    Args:
        crops: The video and the target, as the network sees them.
        augment: Number of shifted and rescaled search crops, beside the usual one.
        generator: Draws shifts and scales, on the CPU.

    Raises:
        InvalidValueError: For a network that is none of SiamRPN, SiamRPN++ and SiamFC++.
    """

    def __init__(self, crops: Crops, augment: int, generator: torch.Generator) -> None:
        self._network, self._loss = crops.network, training_loss(crops.network)
        self._features, self._boxes_cxcywh = _embed_windows(crops, search_windows(crops, augment, generator))

    @property
    def requires_grad(self) -> bool:
        """Whether the search crops have a graph."""
        return self._features.requires_grad

    def __call__(self, template: Tensor) -> Tensor:
        """The loss (a scalar) of a template (1, 3, size, size), RGB in [0, 1]."""
        output = self._network.predict_head(self._network.embed(network_input(template)), self._features)
        return self._loss(output, self._boxes_cxcywh)


class HeldOutScores:
    """How sure a network is of the target, and of anything else, on shifted and rescaled search crops of frame 0.

    Args:
        crops: The video and the target, as the network sees them.
        count: Number of search crops.
        generator: Draws shifts and scales, on the CPU.
    """

    def __init__(self, crops: Crops, count: int, generator: torch.Generator) -> None:
        self._network, self._settings = crops.network, crops.settings
        with torch.no_grad():
            windows = search_windows(crops, count, generator)[1:]
            self._features, boxes_cxcywh = _embed_windows(crops, windows)
        self._boxes_xyxy = cxcywh_to_xyxy(boxes_cxcywh.cpu())[:, None]

    @torch.no_grad()
    def __call__(self, template: Tensor) -> tuple[float, float]:
        """The highest scores of proposals on the target and of those elsewhere, means over the crops, in [0, 1].

        ``template`` is (1, 3, size, size), RGB in [0, 1].
        """
        output = self._network.predict_head(self._network.embed(network_input(template)), self._features)
        proposals = self._settings.decode(to_cpu(output))
        overlaps = iou(cxcywh_to_xyxy(proposals.boxes_cxcywh), self._boxes_xyxy)
        found = (overlaps >= ON_TARGET, overlaps < ELSEWHERE)
        on_target, elsewhere = (torch.where(each, proposals.scores, 0).amax(dim=1).mean().item() for each in found)
        return on_target, elsewhere


def first_frame_loss(output: RPNOutput, boxes_cxcywh: Tensor) -> Tensor:
    """The training loss of N search crops with targets (N, 4), in pixels of the crops, measured from their centres.

    Returns:
        A scalar, the mean over the crops.
    """
    size = output.cls.shape[-1]
    anchors = anchors_cxcywh(size).to(boxes_cxcywh)
    matches = Match(*(torch.stack(parts) for parts in zip(*(match(box, anchors) for box in boxes_cxcywh), strict=True)))
    shape = (len(boxes_cxcywh), -1, size, size)
    labels = torch.where(matches.target, 1, torch.where(matches.background, 0, -1)).reshape(shape)
    weights = matches.target.float() / matches.target.sum(dim=1, keepdim=True).clamp(min=1)
    offsets = matches.offsets.reshape(len(boxes_cxcywh), 4, -1, size, size)
    cls, loc = classification_loss(output.cls, labels), localisation_loss(output.loc, offsets, weights.reshape(shape))
    return CLASSIFICATION_WEIGHT * cls + LOCALISATION_WEIGHT * loc


def training_loss(network: SiameseNetwork) -> Callable[[RPNOutput, Tensor], Tensor]:
    """The training loss of a kind of network; its arguments and result are those of `first_frame_loss`.

    Raises:
        InvalidValueError: For a network that is none of SiamRPN, SiamRPN++ and SiamFC++.
    """
    if isinstance(network, AnchorNetwork):
        return first_frame_loss
    if isinstance(network, SiamFCpp):
        return point_loss
    expected = "SiamRPN, SiamRPN++ or SiamFC++, whose training loss TemplateAdaptation lowers"
    raise InvalidValueError("model", expected, type(network).__name__)


def search_windows(crops: Crops, augment: int, generator: torch.Generator) -> list[Window]:
    """The tracker's search window in frame 0, and ``augment`` shifted and rescaled ones, drawn by ``generator``."""
    state = initial_state(crops.box_xyxy.cpu(), crops.settings)
    side = template_window(state, crops.settings).side
    windows = [search_window(state, crops.settings)]
    for _ in range(augment):
        dx, dy, scale = (2 * torch.rand(3, generator=generator, dtype=torch.float64) - 1).unbind()
        shifted = state.box_cxcywh + torch.stack([dx, dy, 0 * dx, 0 * dy]) * MAX_SHIFT * side
        shifted[2:] *= 1 + MAX_SCALE * scale
        windows.append(search_window(TrackerState(shifted), crops.settings))
    return windows


def _embed_windows(crops: Crops, windows: Sequence[Window]) -> tuple[Tensor, Tensor]:
    """Features (N, C, h, w) of windows of frame 0, and the target in them, (N, 4); see `box_in_window`."""
    search_crops = torch.cat([crops.search(0, window) for window in windows])
    boxes = [box_in_window(crops.box_xyxy, window, crops.settings) for window in windows]
    return crops.network.embed(search_crops), torch.stack(boxes).to(search_crops)


def box_in_window(box_xyxy: Tensor, window: Window, settings: TrackerSettings) -> Tensor:
    """A box (4,) in pixels of the frame, in a search crop: (4,) cxcywh float64, in pixels from the crop's centre."""
    cx, cy, width, height = xyxy_to_cxcywh(box_xyxy.double()).unbind()
    middle_x, middle_y, scale = crop_placement(window, settings.instance_size)
    return torch.stack([cx - middle_x, cy - middle_y, width, height]) * scale
