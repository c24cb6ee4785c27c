"""The network of DuaLossDef: a U-Net that says what to add to a picture (Ronneberger et al. 2015; He et al. 2016).

The paper (arXiv 2402.17976) names a U-Net; what we could read of it says no more. Depth, widths and details are our
own. It adds to the picture and starts by adding nothing, so that an untrained one changes no box; it has no BatchNorm,
since a tracker shows it one crop at a time; and it takes squares of 2 x 2 pixels as one with four times the channels
(Shi et al. 2016), which loses nothing and costs a quarter.

It sees how pixels differ from their surroundings and has no biases (Mohan et al. 2020): with biases training found one
pattern to add to every picture alike. So flat parts stay as they are. Such a network cannot tell how strong noise is: a
gate estimates that (Immerkaer 1996) and keeps what was found away from pictures that need none of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQUARE = 2
"""Side of the squares of pixels that are taken as one."""

SURROUNDINGS = 15
"""Side of the square around a pixel whose mean it is compared with; odd."""

ADDED = 2.0
"""Unit of what is added. Pixels differ little from their surroundings, and a step of Adam moves the weights of the last
layer by the learning rate, however small their input is."""

SCALES = 3
"""At how many sizes of the picture, each half as large, noise is measured."""

NOISE = 1e-3
"""What is weaker is no noise; less than one of 255 levels, which noise of 1/255 at single pixels exceeds."""

MIDDLE = 4.5
"""Usual logarithm of noise, less the sign: what the gate sees lies around zero."""

OPENING = 30.0
"""Unit of what opens the gate, likewise."""

BLOCK = 8
"""Pixels between the places at which the gate is asked."""

WINDOW = 16
"""Side, in blocks, of what the gate sees of each: some 128 pixels, a template. Attacks often change no more of a search
region, and smaller windows of clean crops differ more from one another."""


class UNet(nn.Module):
    """Pictures to pictures of the same size, which may be any from 9 x 9 (with three halvings).

    Convention: RGB in [0, 1], (N, 3, H, W). Results may leave [0, 1] a little.

    Args:
        width: Channels at half the size; they double at each halving.
        halvings: How often the sides are halved after that.
    """

    def __init__(self, width: int, halvings: int = 3) -> None:
        super().__init__()
        self.width = width
        widths = [width * 2**level for level in range(halvings + 1)]
        self.first = _block(3 * SQUARE**2, width)
        self.down = nn.ModuleList(_halve(fine, coarse) for fine, coarse in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.merge = nn.ModuleList(_block(2 * fine, fine) for fine in widths[:-1])
        # The last layer sees the picture, too: so it can smooth on its own.
        self.last = nn.Conv2d(width + 3 * SQUARE**2, 3 * SQUARE**2, 3, padding=1, bias=False)
        self.gate = nn.Conv2d(2 * SCALES, 1, 1)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """The pictures (N, 3, H, W) with what is added to them.

        Raises:
            ValueError: For another shape, or a side too small to be padded by reflection.
        """
        multiple = SQUARE * 2 ** len(self.down)
        least = multiple // 2 + 1  # a smaller one has not as many rows as padding may want
        if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[2:]) < least:
            raise ValueError(f"expected pictures (N, 3, H, W) with sides from {least}, got {tuple(images.shape)}")
        height, width = images.shape[2:]
        # 127, 255 and 287 want one more row and column, so that halving leaves nothing over.
        padded = F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        detail = padded - local_mean(padded)
        added = F.pixel_shuffle(self._added(F.pixel_unshuffle(detail, SQUARE)), SQUARE)
        return images + (ADDED * self._share(padded) * added)[:, :, :height, :width]

    def suspect(self, images: Tensor) -> Tensor:
        """How sure the gate is that pictures (N, 3, H, W) were attacked, as logits (N, 1, h, w); 0 at the start.

        There is a logit for each square of `WINDOW` blocks that lies in the picture, or along a shorter side one for
        all of it.
        """
        with torch.autocast(images.device.type, enabled=False):  # rounding to bfloat16 is noise, too
            levels = noise_levels(images)
            height, width = (min(WINDOW, blocks) for blocks in levels.shape[2:])
            logits: Tensor = OPENING * self.gate(F.avg_pool2d(levels, (height, width), stride=1) + MIDDLE)
        return logits

    def _share(self, images: Tensor) -> Tensor:
        """How much of what was found is added to each pixel (N, 1, H, W), in [0, 1]."""
        # Nothing at all where odds are below 1 to e: tracks that hang by a thread would be lost by what little is left.
        shares = (0.5 + 0.5 * self.suspect(images)).clamp(0, 1)
        rows, columns = (images.shape[axis] // BLOCK - shares.shape[axis] for axis in (2, 3))
        # What is nearer to the edge than the middle of any window is treated as that of the nearest.
        around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        shares = F.pad(shares, around, mode="replicate")
        return F.interpolate(shares, scale_factor=BLOCK, mode="bilinear")

    def _added(self, detail: Tensor) -> Tensor:
        features = self.first(detail)
        finer = []
        for halve in self.down:
            finer.append(features)
            features = halve(features)
        for double, merge, fine in zip(reversed(self.up), reversed(self.merge), reversed(finer), strict=True):
            features = merge(torch.cat([fine, double(features)], dim=1))
        added: Tensor = self.last(torch.cat([features, detail], dim=1))
        return added

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if name in ("last.weight", "gate.weight", "gate.bias"):
                nn.init.zeros_(parameter)
            else:
                # Without BatchNorm nothing else keeps signals from dying away over the layers.
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")


def unet_small() -> UNet:
    """0.5 million parameters."""
    return UNet(16)


def unet_base() -> UNet:
    """1.9 million parameters."""
    return UNet(32)


def unet_large() -> UNet:
    """7.7 million parameters."""
    return UNet(64)


UNETS = {"small": unet_small, "base": unet_base, "large": unet_large}
"""The networks by the names of their sizes."""


def local_mean(images: Tensor) -> Tensor:
    """The mean of the square of `SURROUNDINGS` around each pixel (N, C, H, W), of what of it lies in the picture.

    Along rows, then along columns: PyTorch's pooling of squares took several times as long.
    """
    for _ in range(2):
        lines = F.avg_pool1d(images.flatten(0, 1), SURROUNDINGS, 1, SURROUNDINGS // 2, count_include_pad=False)
        images = lines.view(images.shape).transpose(2, 3)
    return images


def noise_levels(images: Tensor) -> Tensor:
    """How strong the noise of pictures (N, 3, H, W) is in each block, as logarithms (N, 2 * `SCALES`, h, w).

    From the finest scale on, each time that of brightness, then that of colour. Edges and slopes are mostly taken out
    by the difference of two Laplacians (Immerkaer, *Fast Noise Variance Estimation*, 1996); the mean of logarithms,
    which is ours, keeps what remains of them from counting much. Cameras, codecs and shading leave little noise in
    colours; an attack that takes each value up or down on its own leaves more there than in brightness.
    """
    line = images.new_tensor([1.0, -2.0, 1.0])
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    red, green, blue = images.unbind(dim=1)
    images = torch.stack([images.mean(dim=1), red - green, blue - green], dim=1)
    levels = []
    for scale in range(SCALES):
        noise = (F.conv2d(images, kernel, groups=3).abs() + NOISE).log()
        level = F.avg_pool2d(F.pad(noise, (1, 1, 1, 1), mode="replicate"), BLOCK >> scale)
        levels += [level[:, :1], level[:, 1:].mean(dim=1, keepdim=True)]
        images = F.avg_pool2d(images, 2)
    return torch.cat(levels, dim=1)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolve(inputs, outputs), *_convolve(outputs, outputs))


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolve(inputs, outputs, stride=2), *_convolve(outputs, outputs))


def _convolve(inputs: int, outputs: int, stride: int = 1) -> Sequence[nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.ReLU(inplace=True)
