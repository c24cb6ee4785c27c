"""The one place where a template is embedded and compared with search windows.

The tracker, both memory modes of the patch attack's gradient, and the online attacks all ask a `TemplateMatcher`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from armory_skelevision.networks import RPNOutput, SiameseNetwork
from armory_skelevision.tracking.crops import Crops
from armory_skelevision.tracking.windows import Window


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

        Args:
            crops: The video and the target as the network sees them.
            network: Used in place of ``crops.network``, for instance its copy in bfloat16.
        """
        network = crops.network if network is None else network
        return cls(network, crops, _embed(network, crops.template))

    def __call__(self, index: int, window: Window) -> RPNOutput:
        """The heads' output for one window of frame ``index``: ``cls`` (1, 2k, S, S) and ``loc`` (1, 4k, S, S)."""
        return self.match(self.crops.search(index, window))

    def match(self, search_crops: Tensor) -> RPNOutput:
        """The heads' output for search crops (N, 3, instance_size, instance_size), BGR in 0..255.

        Returns:
            ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S), float32.
        """
        return self.network.predict_head(self.template_features, _embed(self.network, search_crops))


def _embed(network: SiameseNetwork, crops: Tensor) -> Tensor:
    # Estimators keep their weights in this layout, in which convolutions are fastest.
    return network.embed(crops.contiguous(memory_format=torch.channels_last))
