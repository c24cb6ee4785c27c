"""Regularizers for patches that are to be printed: total variation, and distance from printable colours."""

from __future__ import annotations

import itertools
import math
from functools import cache

import torch
from torch import Tensor

# sRGB (0..255) of paper, full inks and their overprints on coated paper: rounded values of the FOGRA39 offset
# condition, white to black as cyan, magenta and yellow are added.
_OVERPRINTS = {
    (0, 0, 0): (255, 255, 255),
    (1, 0, 0): (0, 158, 224),
    (0, 1, 0): (230, 0, 126),
    (0, 0, 1): (255, 237, 0),
    (1, 1, 0): (49, 39, 131),
    (1, 0, 1): (0, 150, 64),
    (0, 1, 1): (227, 6, 19),
    (1, 1, 1): (43, 37, 35),
}
# Shares of the paper that an ink may cover.
_COVERAGES = (0.0, 1 / 3, 2 / 3, 1.0)


def total_variation(patch: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of a patch (h, w, 3) in [0, 1], both ways: a scalar in [0, 2]."""
    down, across = patch.diff(dim=0).abs(), patch.diff(dim=1).abs()
    return (down.sum() + across.sum()) / max(patch.numel(), 1)


def distance_to_print(patch: Tensor) -> Tensor:
    """Mean distance of a patch's colours from the nearest printable one (after Sharif et al. 2016, Eq. 5).

    The paper's product over a list of colours is replaced by the distance from the nearest, which does not vanish
    between colours.

    Args:
        patch: (h, w, 3), RGB in [0, 1].

    Returns:
        A scalar of at least 0.
    """
    return torch.cdist(patch.reshape(-1, 3), printable_colours().to(patch)).amin(dim=1).mean()


@cache
@torch.inference_mode(False)
def printable_colours() -> Tensor:
    """The 64 colours of three inks, each covering the paper by a multiple of a third: (64, 3), RGB in [0, 1].

    A colour is the light reflected from paper on which the inks' dots overlap at random (Neugebauer 1937, with
    Demichel's weights): a mean in linear light of the eight overprints. They are the same tensor in each call, not to
    be changed.
    """
    primaries = torch.tensor(list(_OVERPRINTS.values()), dtype=torch.float64) / 255
    linear = torch.where(primaries <= 0.04045, primaries / 12.92, ((primaries + 0.055) / 1.055) ** 2.4)
    coverages = itertools.product(_COVERAGES, repeat=3)
    shares = [[_overlap(coverage, inks) for inks in _OVERPRINTS] for coverage in coverages]
    weights = torch.tensor(shares, dtype=torch.float64)
    mixed = weights @ linear
    return torch.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055).float()


def _overlap(coverage: tuple[float, ...], inks: tuple[int, ...]) -> float:
    """Share of the paper that shows exactly these inks."""
    return math.prod(covered if ink else 1 - covered for covered, ink in zip(coverage, inks, strict=True))
