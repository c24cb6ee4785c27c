"""The crops of a video that a network sees, and the one place where template and search crops are compared.

Every way from pixels to a network's input goes through `Crops`. This is the only place where tracker, attack and
defense meet: an attack provides other frames, a defense changes the crops on their way to the network. The tracker,
both memory modes of the patch attack's gradient, and the online attacks all ask a `TemplateMatcher`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from armory_skelevision.networks import RPNOutput, SiameseNetwork
from armory_skelevision.tracking.frames import Frames
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.windows import Window, cut_crop, initial_state, network_input, template_window


class CropDefense:
    """A defense of crops, which changes nothing yet. Crops are (1, 3, size, size), RGB in [0, 1]."""

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The crop that replaces the template ``crop`` of the video of ``crops``."""
        return crop

    def defend_search(self, crop: Tensor) -> Tensor:
        """The crop that replaces a search ``crop``."""
        return crop


@dataclass(eq=False)
class Crops:
    """The template and search crops of one target in one video.

    Attributes:
        network: In evaluation mode, on the device of the frames.
        frames: The video.
        box_xyxy: The target in frame 0, (4,), pixels.
        settings: Constants of the tracker.
        defenses: Applied to the crops, in this order.
    """

    network: SiameseNetwork
    frames: Frames
    box_xyxy: Tensor
    settings: TrackerSettings
    defenses: Sequence[CropDefense] = ()

    @cached_property
    def template(self) -> Tensor:
        """The target in frame 0 as the network's input: (1, 3, exemplar_size, exemplar_size), BGR in 0..255.

        It is computed on first use, and keeps a graph if gradients are on at that time.
        """
        window = template_window(initial_state(self.box_xyxy, self.settings), self.settings)
        crop = cut_crop(self.frames.window(0, window), window, self.settings.exemplar_size)[None]
        for defense in self.defenses:
            crop = defense.defend_template(crop, self)
        return network_input(crop)

    def search(self, index: int, window: Window) -> Tensor:
        """A window of frame ``index`` as the network's input: (1, 3, instance_size, instance_size), BGR in 0..255."""
        return self.search_input(self.frames.window(index, window), window)

    def search_input(self, pixels: Tensor, window: Window) -> Tensor:
        """The pixels (3, side, side) of a search window, RGB in [0, 1], as the network's input; see `search`."""
        crop = cut_crop(pixels, window, self.settings.instance_size)[None]
        for defense in self.defenses:
            crop = defense.defend_search(crop)
        return network_input(crop)


@dataclass(frozen=True)
class TemplateMatcher:
    """Compares search windows of a video with the template of its target.

    Attributes:
        network: In evaluation mode, on the device of the frames.
        crops: The video and the target as the network sees them.
        template_features: Features of the template, (1, C, h, w).
    """

    network: SiameseNetwork
    crops: Crops
    template_features: Tensor

    @classmethod
    def embed_template(cls, crops: Crops, network: SiameseNetwork | None = None) -> TemplateMatcher:
        """Embed the template of a video; keeps a graph if gradients are on.

        ``network`` is used in place of ``crops.network``, for instance its copy in bfloat16.
        """
        network = crops.network if network is None else network
        return cls(network, crops, _embed(network, crops.template))

    def __call__(self, index: int, window: Window) -> RPNOutput:
        """The heads' output for one window of frame ``index``: ``cls`` (1, 2k, S, S) and ``loc`` (1, 4k, S, S)."""
        return self.match(self.crops.search(index, window))

    def match(self, search_crops: Tensor) -> RPNOutput:
        """The heads' output, float32, for search crops (N, 3, instance_size, instance_size), BGR in 0..255."""
        return self.network.predict_head(self.template_features, _embed(self.network, search_crops))


def _embed(network: SiameseNetwork, crops: Tensor) -> Tensor:
    # Estimators keep their weights in this layout, in which convolutions are fastest.
    return network.embed(crops.contiguous(memory_format=torch.channels_last))
