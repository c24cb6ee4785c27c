"""The region proposal network on top of the two feature maps, with depthwise cross-correlation.

Li et al., "SiamRPN++", 2019, section 3.3 (depthwise head); state-dict names as in PySOT's
``DepthwiseRPN`` (Apache 2.0).

Convention: channels of the outputs are ordered (value, anchor): ``cls`` as (2, k) with background first, ``loc`` as
(4, k) with (dx, dy, dw, dh).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from armory_skelevision.validation import InvalidValueError


class RPNOutput(NamedTuple):
    """The output of a head for k anchors at each of S x S positions; k is 1 for an anchor-free head."""

    cls: Tensor
    """Logits of background and target, (N, 2k, S, S); of target and quality for SiamFC++."""
    loc: Tensor
    """Box offsets relative to the anchors, or log distances to the sides for an anchor-free head, (N, 4k, S, S)."""


class DepthwiseRPN(nn.Module):
    """Classification and localisation branch.

    Args:
        anchors: Number k of anchors per position.
        channels: Channels of both feature maps.
    """

    def __init__(self, anchors: int = 5, channels: int = 256) -> None:
        super().__init__()
        self.cls = DepthwiseBranch(channels, 2 * anchors)
        self.loc = DepthwiseBranch(channels, 4 * anchors)

    def forward(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (N, C, 6, 6), or (1, C, 6, 6) for all N, with search features (N, C, h, w).

        A side of 26 gives S = 21, 22 gives S = 17.
        """
        return RPNOutput(self.cls(z_features, x_features), self.loc(z_features, x_features))


class MultiRPN(nn.Module):
    """A `DepthwiseRPN` for each of three levels of features, and the mean of their answers (Li et al. 2019, Eq. 2).

    State-dict names as in PySOT's ``MultiRPN`` (Apache 2.0).

    Args:
        anchors: Number k of anchors per position.
        channels: Channels of each level.
        weighted: Whether the mean is weighted, by learned weights.
    """

    LEVELS = 3

    def __init__(self, anchors: int = 5, channels: int = 256, weighted: bool = True) -> None:
        super().__init__()
        self.rpn2, self.rpn3, self.rpn4 = (DepthwiseRPN(anchors, channels) for _ in range(self.LEVELS))
        self.cls_weight, self.loc_weight = (
            nn.Parameter(torch.ones(self.LEVELS)) if weighted else None for _ in range(2)
        )

    def forward(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 3C, h, w) with search features (N, 3C, H, W).

        The levels stand one after the other in the channels.
        """
        levels = zip(*(features.chunk(self.LEVELS, dim=1) for features in (z_features, x_features)), strict=True)
        outputs = [rpn(*level) for rpn, level in zip((self.rpn2, self.rpn3, self.rpn4), levels, strict=True)]
        cls, loc = (torch.stack(maps) for maps in zip(*outputs, strict=True))
        return RPNOutput(_mean(cls, self.cls_weight), _mean(loc, self.loc_weight))


class DepthwiseBranch(nn.Module):
    """One branch: adapt both features, correlate them channel by channel, mix the channels to those of the output."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv_kernel = _adapter(channels)
        self.conv_search = _adapter(channels)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, outputs, 1),
        )

    def forward(self, z_features: Tensor, x_features: Tensor) -> Tensor:
        """The response (N, outputs, S, S) to features as in `DepthwiseRPN.forward`."""
        response: Tensor = self.head(depthwise_xcorr(self.conv_search(x_features), self.conv_kernel(z_features)))
        return response


def depthwise_xcorr(search: Tensor, kernel: Tensor) -> Tensor:
    """Cross-correlate each channel of search features (N, C, H, W) with that of template features (N or 1, C, h, w).

    Returns:
        (N, C, H - h + 1, W - w + 1).

    Raises:
        InvalidValueError: If the numbers of channels differ, or there are several kernels but not one per search crop.
    """
    count, channels = search.shape[:2]
    if kernel.shape[1] != channels or kernel.shape[0] not in (1, count):
        shapes = f"(1, {channels}, h, w) or ({count}, {channels}, h, w)"
        expected = f"shape {shapes} for search features {tuple(search.shape)}"
        raise InvalidValueError("template features", expected, f"shape {tuple(kernel.shape)}")
    if kernel.shape[0] == 1:
        # Not in bfloat16, in which CPUs need three times as long for the kernel's gradient.
        precision = torch.promote_types(search.dtype, torch.float32)
        shared = kernel.to(precision).transpose(0, 1)
        return F.conv2d(search.to(precision), shared, groups=channels).to(search.dtype)
    # One pair per group: the batch moves into the channels, so that each search crop meets its own template only.
    groups = count * channels
    response = F.conv2d(
        search.reshape(1, groups, *search.shape[2:]), kernel.reshape(groups, 1, *kernel.shape[2:]), groups=groups
    )
    return response.reshape(count, channels, *response.shape[2:])


def _mean(maps: Tensor, weight: Tensor | None) -> Tensor:
    """The mean over the first axis, weighted by the softmax of ``weight`` if there is one."""
    return maps.mean(dim=0) if weight is None else torch.tensordot(weight.softmax(dim=0), maps, dims=1)


def _adapter(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
