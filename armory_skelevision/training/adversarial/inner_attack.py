"""The inner attack: gradient ascent on the loss of a tracker, on template and search crops (Madry et al. 2018).

DuaLossDef's paper (arXiv 2402.17976) states that it raises classification and regression loss together; all else is our
own. Perturbations lie on a grid that may be coarser or finer than the crop's pixels, as a frame's pixels are, since a
frame's windows are enlarged or shrunk to crops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.tracking.losses import LOCALISATION_WEIGHT
from armory_skelevision.training.adversarial.settings import Branches, InnerAttackSettings
from armory_skelevision.training.data.loading import Batch

Kind = Literal["inf", "l2", "square", "boxes"]

KINDS: tuple[Kind, ...] = ("inf", "l2", "square", "boxes")
"""The attacks that "mixed" draws from: bounded in each value; bounded in its root mean square; a square of any colours
beside the target; bounded in each value with a large weight of regression, as in RTAA (Jia et al. 2020)."""

BOXES_WEIGHT = 5.0  # weight of regression relative to classification in the published RTAA
STRIDE = 2.0  # of validation, from any point to any edge
SQUARE_SIDES = (0.15, 0.4)  # smallest and largest side of a square, as a share of the search crop's


class CropBatch(NamedTuple):
    """Template and search crops of N targets, RGB in [0, 1]."""

    template: Tensor
    """(N, 3, 127, 127)."""
    search: Tensor
    """(N, 3, side, side)."""

    @classmethod
    def from_batch(cls, batch: Batch) -> Self:
        """The crops of a batch (uint8 BGR) as RGB in [0, 1], channels last in memory."""
        crops = (crop.permute(0, 3, 1, 2).flip(1).float() / 255 for crop in (batch.template, batch.search))
        return cls(*(crop.contiguous(memory_format=torch.channels_last) for crop in crops))

    def change(self, branches: Branches, change: Callable[[Tensor], Tensor]) -> CropBatch:
        """Both crops, with a function applied to those of some branches."""
        return CropBatch(
            self.template if branches == "search" else change(self.template),
            self.search if branches == "template" else change(self.search),
        )


class InnerAttack(NamedTuple):
    """The attack on one batch."""

    kind: Kind
    """One of `KINDS`."""
    eps: float
    """Bound of the perturbation, in [0, 1]."""
    max_iter: int
    """Number of iterations."""
    pixel_size: float
    """Side of the perturbation's pixels, in crop pixels."""
    stride: float = STRIDE
    """Length of all iterations' steps together, in units of the bound."""
    noise: float = 1.0
    """Largest value of the random start, in units of the bound; above 1, nothing is clipped to the bound."""
    through: bool = False
    """Whether the attack sees the U-Net and goes through it."""
    on_features: bool = False
    """Whether it raises the distance of features instead of the tracker's loss."""

    @property
    def loc_weight(self) -> float:
        """Weight of regression in the loss that is maximised."""
        return BOXES_WEIGHT if self.kind == "boxes" else LOCALISATION_WEIGHT


def draw_attack(settings: InnerAttackSettings, generator: torch.Generator, adaptive: float = 0.0) -> InnerAttack:
    """A random attack within the settings, which goes through the U-Net with the probability ``adaptive``."""
    kinds: Sequence[Kind] = KINDS if settings.inner_attack == "mixed" else KINDS[:1]
    kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    fewest, most = settings.inner_max_iter
    max_iter = int(torch.randint(fewest, most + 1, (), generator=generator))
    eps, pixel_size = _draw(settings.eps, generator), _draw(settings.pixel_size, generator)
    # Drawn last, and only where asked for: older settings draw as they did.
    through = adaptive > 0 and _draw((0, 1), generator) < adaptive
    on_features = settings.inner_loss == "features"
    if settings.inner_loss == "both":
        on_features = _draw((0, 1), generator) < 0.5
    return InnerAttack(
        kind, eps, max_iter, pixel_size, settings.inner_stride, settings.inner_noise, through, on_features
    )


def perturb(
    clean: CropBatch,
    loss: Callable[[CropBatch], Tensor],
    attack: InnerAttack,
    branches: Branches,
    box_xyxy: Tensor,
    generator: torch.Generator,
) -> CropBatch:
    """Perturb crops so that a loss rises.

    Args:
        clean: The crops.
        loss: A differentiable function from crops to a scalar.
        attack: Kind and strength of the perturbation.
        branches: The crops to perturb; a square is in the search crop alone.
        box_xyxy: (N, 4), the targets in search-crop pixels; no square covers them.
        generator: Draws the start and the place of squares; on the CPU.

    Returns:
        The perturbed crops, in [0, 1], without a graph. No value differs by more than ``eps``; with the kind "l2" no
        crop's root mean square difference exceeds ``eps``; a square's colours are not bounded. With ``noise`` above 1,
        values differ by as much as start and steps together.
    """
    if attack.kind == "square":
        square = draw_squares(clean.search, box_xyxy, generator)
        # Around mid-grey, the bound 0.5 allows all colours.
        clean = CropBatch(clean.template, torch.where(square, 0.5, clean.search))
        attack, branches = attack._replace(eps=0.5, noise=1.0), "search"
    else:
        square = None

    def show(noise: dict[str, Tensor]) -> CropBatch:
        return clean._replace(**{name: _add(getattr(clean, name), noise[name], square) for name in noise})

    noise = _start(clean, attack, branches, generator)
    for _ in range(attack.max_iter):
        leaves = {name: values.requires_grad_() for name, values in noise.items()}
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss(show(leaves)), list(leaves.values()))
        noise = {
            name: _ascend(values.detach(), gradient, attack)
            for (name, values), gradient in zip(leaves.items(), gradients, strict=True)
        }
    with torch.no_grad():
        return show(noise)


def feature_distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """The squared distance of features (N, C, h, w) from those wanted, over the latter's squared length; a mean."""
    pairs = zip(found, wanted, strict=True)
    return torch.stack([((a - b).square().sum((1, 2, 3)) / b.square().sum((1, 2, 3))).mean() for a, b in pairs]).mean()


def mean_change(crops: CropBatch, others: CropBatch) -> Tensor:
    """The mean absolute difference of template and search crops, summed: a scalar."""
    return torch.stack([(a - b).abs().mean() for a, b in zip(crops, others, strict=True)]).sum()


def draw_squares(search: Tensor, box_xyxy: Tensor, generator: torch.Generator) -> Tensor:
    """Masks (N, 1, side, side) bool of squares of random size and place, without the part that would cover the target.

    Args:
        search: (N, 3, side, side), the search crops.
        box_xyxy: (N, 4), the targets in search-crop pixels.
        generator: Draws size and place; on the CPU.
    """
    count, side = len(search), search.shape[-1]
    low, high = SQUARE_SIDES
    sides = side * (low + (high - low) * torch.rand(count, 1, generator=generator))
    corners = torch.rand(count, 2, generator=generator) * (side - sides)
    inside = _cover(torch.cat([corners, corners + sides], dim=1).to(search.device), side)
    return inside & ~_cover(box_xyxy, side)


def _cover(box_xyxy: Tensor, side: int) -> Tensor:
    """The pixels whose centres lie in boxes (N, 4): (N, 1, side, side) bool."""
    centres = torch.arange(side, device=box_xyxy.device) + 0.5
    x1, y1, x2, y2 = box_xyxy[:, :, None].unbind(1)
    columns, rows = (centres > x1) & (centres < x2), (centres > y1) & (centres < y2)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _start(clean: CropBatch, attack: InnerAttack, branches: Branches, generator: torch.Generator) -> dict[str, Tensor]:
    """Random noise within the bound for each attacked crop, on the perturbation's grid."""
    noise = {}
    for name in ("template", "search"):
        if branches in (name, "both"):
            crop = getattr(clean, name)
            side = round(crop.shape[-1] / attack.pixel_size)
            drawn = 2 * torch.rand(len(crop), 3, side, side, generator=generator) - 1
            noise[name] = attack.noise * attack.eps * drawn.to(crop.device, memory_format=torch.channels_last)
    return noise


def _add(crop: Tensor, noise: Tensor, square: Tensor | None) -> Tensor:
    if noise.shape[-1] != crop.shape[-1]:
        noise = F.interpolate(noise, size=crop.shape[-2:], mode="bilinear", align_corners=False)
    return (crop + (noise if square is None else noise * square)).clamp(0, 1)


def _ascend(noise: Tensor, gradient: Tensor, attack: InnerAttack) -> Tensor:
    step = attack.stride * attack.eps / attack.max_iter
    direction = gradient / _root_mean_square(gradient) if attack.kind == "l2" else gradient.sign()
    moved = noise + step * direction
    if attack.noise > 1:
        return moved
    if attack.kind == "l2":
        return moved * (attack.eps / _root_mean_square(moved)).clamp(max=1)
    return moved.clamp(-attack.eps, attack.eps)


def _root_mean_square(values: Tensor) -> Tensor:
    return values.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)


def _draw(limits: Sequence[float], generator: torch.Generator) -> float:
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=generator))
