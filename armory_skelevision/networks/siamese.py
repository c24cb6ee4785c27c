"""The interface of a tracker's network: features of crops, and a head on template and search features."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.validation import InvalidValueError


class Backbone(nn.Module):
    """A sequence of blocks with access to the output of each.

    Convention: images are BGR in 0..255, float32, (N, 3, H, W), without normalisation.
    """

    layers: tuple[str, ...]
    """Names of the blocks, in order."""

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w) of images (N, 3, H, W), BGR in 0..255."""
        return self.activations(images, self.layers[-1])

    def activations(self, images: Tensor, layer: str | int) -> Tensor:
        """The output of one block, (N, C, h, w).

        Args:
            images: (N, 3, H, W), BGR in 0..255.
            layer: One of ``layers``, or its number from 0; the blocks after it are not run.

        Raises:
            InvalidValueError: For an unknown layer.
        """
        last = self.layers.index(layer) if layer in self.layers else layer
        if last not in range(len(self.layers)):
            expected = f"one of {', '.join(self.layers)}, or 0 to {len(self.layers) - 1}"
            raise InvalidValueError("layer", expected, repr(layer))
        for name in self.layers[: int(last) + 1]:
            images = self.get_submodule(name)(images)
        return images

    def levels(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """The outputs of several of ``layers``, in their order, each (N, C, h, w), of images (N, 3, H, W)."""
        outputs = []
        for name in self.layers[: self.layers.index(layers[-1]) + 1]:
            images = self.get_submodule(name)(images)
            if name in layers:
                outputs.append(images)
        return outputs


class SiameseNetwork(nn.Module):
    """One backbone for template and search crop, and a head on both. It has no state beside its weights.

    Crops are BGR in 0..255, float32. The output is float32, whatever precision the weights have.
    """

    backbone: Backbone
    per_position: int | None = None
    """Number of proposals at each position of the response map; None where it is not known."""
    stride: int | None = None
    """Pixels of the search crop from one position of the response map to the next; None where it is not known."""
    architecture: str | None = None
    """Its name in weights files; None if they do not name it."""
    graph_bytes_per_pixel = 470
    """Memory of the graph of one frame in an attack, in bytes per pixel of the search crop, float32. This is SiamRPN's,
    with everything else that an attack needs (benchmarks/attack.py: 0.77 GB for 20 frames, crops of 287 x 287)."""

    def embed(self, crops: Tensor) -> Tensor:
        """Features (N, C, h, w) of template or search crops (N, 3, H, W), BGR in 0..255, in the weights' precision."""
        features: Tensor = self.backbone(crops.to(next(self.parameters()).dtype))
        return features

    def predict_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, C, h, w) with search features (N, C, H, W), in float32 or more precise."""
        output = self.forward_head(z_features, x_features)
        return RPNOutput(*(values.to(torch.promote_types(values.dtype, torch.float32)) for values in output))

    @abstractmethod
    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """As `predict_head`, in the features' precision."""

    def rounded(self) -> Self:
        """A copy in bfloat16, for inference; autocast would round the weights anew in every frame."""
        return copy.deepcopy(self).bfloat16()

    def forward(self, z_crops: Tensor, x_crops: Tensor) -> RPNOutput:
        """Compare template crops (1 or N, 3, z, z) with search crops (N, 3, x, x), BGR in 0..255."""
        return self.predict_head(self.embed(z_crops), self.embed(x_crops))
