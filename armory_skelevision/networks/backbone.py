"""The AlexNet of SiamRPN: five convolutional blocks without padding (names and order of layers as in PySOT).

Li et al., "High Performance Visual Tracking with Siamese Region Proposal Network", 2018. Blocks and
state-dict names are those of PySOT's ``siamrpn_alex_dwxcorr`` (Apache 2.0), so that its checkpoints load.

Convention: images are BGR in 0..255, float32, (N, 3, H, W), with no mean or deviation taken off.
"""

from __future__ import annotations

from torch import Tensor, nn

LAYERS = ("layer1", "layer2", "layer3", "layer4", "layer5")


class AlexNet(nn.Module):
    """Images to features of stride 8: a side of 127 gives 6, of 255 gives 22, of 287 gives 26."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = _block(3, 96, 11, stride=2, pool=True)
        self.layer2 = _block(96, 256, 5, pool=True)
        self.layer3 = _block(256, 384, 3)
        self.layer4 = _block(384, 384, 3)
        self.layer5 = _block(384, 256, 3, relu=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 256, h, w) of images (N, 3, H, W)."""
        return self.activations(images, LAYERS[-1])

    def activations(self, images: Tensor, layer: str) -> Tensor:
        """What comes out of one block.

        Args:
            images: (N, 3, H, W), BGR in 0..255.
            layer: One of `LAYERS`; the blocks after it are not run.

        Raises:
            ValueError: For the name of a layer that is not there.
        """
        if layer not in LAYERS:
            raise ValueError(f"unknown backbone layer {layer!r}; known are {list(LAYERS)}")
        for name in LAYERS[: LAYERS.index(layer) + 1]:
            images = self.get_submodule(name)(images)
        return images


def _block(
    inputs: int, outputs: int, size: int, stride: int = 1, *, pool: bool = False, relu: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, stride), nn.BatchNorm2d(outputs)]
    if pool:
        layers.append(nn.MaxPool2d(3, stride=2))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
