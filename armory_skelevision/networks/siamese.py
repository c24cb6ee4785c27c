"""What trackers ask of a network: features of crops, and an answer to template and search features together."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor, nn

from armory_skelevision.networks.heads import RPNOutput


class Backbone(nn.Module):
    """Blocks that run one after the other, each of which can be looked at.

    Convention: images are BGR in 0..255, float32, (N, 3, H, W), with no mean or deviation taken off.
    """

    layers: tuple[str, ...]
    """Names of the blocks, in their order."""

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w) of images (N, 3, H, W)."""
        return self.activations(images, self.layers[-1])

    def activations(self, images: Tensor, layer: str) -> Tensor:
        """What comes out of one block.

        Args:
            images: (N, 3, H, W), BGR in 0..255.
            layer: One of ``layers``; the blocks after it are not run.

        Raises:
            ValueError: For the name of a layer that is not there.
        """
        if layer not in self.layers:
            raise ValueError(f"unknown backbone layer {layer!r}; known are {list(self.layers)}")
        for name in self.layers[: self.layers.index(layer) + 1]:
            images = self.get_submodule(name)(images)
        return images


class SiameseNetwork(nn.Module):
    """One backbone for template and search crop, and a head on both. It holds weights only, nothing of a video.

    Crops are BGR in 0..255, float32, and so is the answer, whatever precision the weights have.
    """

    backbone: Backbone

    def embed(self, crops: Tensor) -> Tensor:
        """Features (N, C, h, w) of template or search crops (N, 3, H, W), in the weights' precision."""
        features: Tensor = self.backbone(crops.to(next(self.parameters()).dtype))
        return features

    def predict_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features, of one crop or of N, with the search features of N crops."""
        output = self.forward_head(z_features, x_features)
        return RPNOutput(*(values.to(torch.promote_types(values.dtype, torch.float32)) for values in output))

    @abstractmethod
    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """What `predict_head` says, in the features' precision."""

    def rounded(self) -> Self:
        """A copy in bfloat16, for networks that learn no more: autocast would round such weights in every frame."""
        return copy.deepcopy(self).bfloat16()

    def forward(self, z_crops: Tensor, x_crops: Tensor) -> RPNOutput:
        """Compare template crops (1 or N, 3, z, z) with search crops (N, 3, x, x)."""
        return self.predict_head(self.embed(z_crops), self.embed(x_crops))
