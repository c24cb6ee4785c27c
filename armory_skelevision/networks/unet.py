"""The network of DuaLossDef: a residual U-Net (Ronneberger et al. 2015; He et al. 2016).

The paper (arXiv 2402.17976) names a U-Net; its depth, widths and details are not published where we could read them, so
these are our own. The network predicts a correction that is added to the image, and starts with a correction of 0, so
that an untrained one changes no box. It has no BatchNorm, since a tracker passes it one crop at a time. It takes
squares of 2 x 2 pixels as one with four times the channels (Shi et al. 2016), which loses nothing and costs a quarter.

Its input is the difference of pixels from their surroundings, and it has no biases (Mohan et al. 2020): with biases,
training found one pattern for all images. So uniform areas stay unchanged. Such a network cannot estimate the strength
of noise: a gate does (Immerkaer 1996), and suppresses the correction in images without noise.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from armory_skelevision.validation import InvalidValueError

# Side of the squares of pixels that are taken as one pixel.
SQUARE = 2
# Side of the square around a pixel whose mean is subtracted from it; odd.
SURROUNDINGS = 15
# Unit of the correction. Pixels differ little from their surroundings, and a step of Adam moves the weights of the last
# layer by the learning rate, however small their input is.
ADDED = 2.0
# Number of scales, each half as large, at which noise is measured.
SCALES = 3
# Noise floor; less than one of 255 levels, which noise of 1/255 at single pixels exceeds.
NOISE = 1e-3
# Usual logarithm of noise, with the sign reversed: the gate's input lies around zero.
MIDDLE = 4.5
# Unit of the gate's logits, for the same reason as `ADDED`.
OPENING = 30.0
# Pixels between the positions at which the gate is evaluated.
BLOCK = 8
# Side, in blocks, of the gate's window: some 128 pixels, a template. Attacks often change no more of a search region,
# and smaller windows of clean crops differ more from one another.
WINDOW = 16


class UNet(nn.Module):
    """Images to images of the same size, at least 9 x 9 (with three halvings).

    Convention: RGB in [0, 1], (N, 3, H, W). Results may leave [0, 1] a little.

    Args:
        width: Channels at half the size; they double at each halving.
        halvings: Number of further halvings of the sides.
        gated: Whether the gate decides how much of the correction is added; without it, all of it is. An attacker who
            knows the gate can keep it shut.
    """

    def __init__(self, width: int, halvings: int = 3, gated: bool = True) -> None:
        super().__init__()
        self.width = width
        self.gated = gated
        widths = [width * 2**level for level in range(halvings + 1)]
        self.first = _block(3 * SQUARE**2, width)
        self.down = nn.ModuleList(_block(fine, coarse, stride=2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False) for fine, coarse in pairwise(widths)
        )
        self.merge = nn.ModuleList(_block(2 * fine, fine) for fine in widths[:-1])
        # The last layer also gets the image itself, so that it can smooth on its own.
        self.last = nn.Conv2d(width + 3 * SQUARE**2, 3 * SQUARE**2, 3, padding=1, bias=False)
        if gated:
            self.gate = nn.Conv2d(2 * SCALES, 1, 1)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """The corrected images, (N, 3, H, W) in and out, RGB in [0, 1].

        Raises:
            InvalidValueError: For another shape, or a side too small to be padded by reflection.
        """
        multiple = SQUARE * 2 ** len(self.down)
        least = multiple // 2 + 1  # padding by reflection needs that many rows
        if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[2:]) < least:
            expected = f"shape (N, 3, H, W) with sides of at least {least}"
            raise InvalidValueError("images", expected, f"shape {tuple(images.shape)}")
        height, width = images.shape[2:]
        # 127, 255 and 287 need one more row and column to be divisible.
        padded = F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        detail = padded - local_mean(padded)
        added = F.pixel_shuffle(self._added(F.pixel_unshuffle(detail, SQUARE)), SQUARE)
        share = self._share(padded) if self.gated else 1.0
        return images + (ADDED * share * added)[:, :, :height, :width]

    def suspect(self, images: Tensor) -> Tensor:
        """The gate's logits (N, 1, h, w) that images (N, 3, H, W), RGB in [0, 1], were attacked; only with a gate.

        They are 0 without training. There is one for each square of `WINDOW` blocks inside the image, or along a
        shorter side one for all of it.
        """
        with torch.autocast(images.device.type, enabled=False):  # rounding to bfloat16 is noise, too
            levels = noise_levels(images)
            height, width = (min(WINDOW, blocks) for blocks in levels.shape[2:])
            logits: Tensor = OPENING * self.gate(F.avg_pool2d(levels, (height, width), stride=1) + MIDDLE)
        return logits

    def _share(self, images: Tensor) -> Tensor:
        """Weight of the correction at each pixel (N, 1, H, W), in [0, 1]."""
        # Exactly 0 where odds are below 1 to e: near failure, a track may be lost by the smallest correction.
        shares = (0.5 + 0.5 * self.suspect(images)).clamp(0, 1)
        rows, columns = (images.shape[axis] // BLOCK - shares.shape[axis] for axis in (2, 3))
        # Pixels nearer to the edge than the middle of any window get the weight of the nearest.
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
                # Without BatchNorm nothing else keeps signals from vanishing over the layers.
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")


UNETS = {"small": partial(UNet, 16), "base": partial(UNet, 32), "large": partial(UNet, 64)}
"""The networks by size, with 0.5, 1.9 and 7.7 million parameters."""


def local_mean(images: Tensor) -> Tensor:
    """The mean of the square of `SURROUNDINGS` around each pixel, as far as it lies in the image: (N, C, H, W).

    Along rows, then along columns: PyTorch's pooling of squares took several times as long.
    """
    for _ in range(2):
        lines = F.avg_pool1d(images.flatten(0, 1), SURROUNDINGS, 1, SURROUNDINGS // 2, count_include_pad=False)
        images = lines.view(images.shape).transpose(2, 3)
    return images


def noise_levels(images: Tensor) -> Tensor:
    """Logarithms (N, 2 * `SCALES`, h, w) of the noise of images (N, 3, H, W), RGB in [0, 1], in each block.

    From the finest scale on, each time for brightness, then for colour. Edges and slopes are mostly removed by the
    difference of two Laplacians (Immerkaer, *Fast Noise Variance Estimation*, 1996); the mean of logarithms, which is
    ours, limits the weight of what remains of them. Cameras, codecs and shading leave little noise in colours; an
    attack that changes each value independently leaves more there than in brightness.
    """
    line = images.new_ones(3)
    line[1] = -2  # numbers from the host would be copied to the device for each crop
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


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.ReLU(inplace=True),
    )
