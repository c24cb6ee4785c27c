"""The inner attack: steps up the loss of a frozen tracker on template and search crops (Madry et al. 2018).

What the paper (arXiv 2402.17976) says of it is that it raises classification and regression loss together. All else is
our own. Perturbations live on a grid that may be coarser or finer than the crop's pixels, as those of a frame are: its
windows are enlarged or shrunk to crops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.tracking.losses import LOCALISATION_WEIGHT
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.dualossdef.settings import Branches, DuaLossDefSettings

Kind = Literal["inf", "l2", "square", "boxes"]

KINDS: tuple[Kind, ...] = ("inf", "l2", "square", "boxes")
"""What "mixed" draws from: bounded in each value; in its root mean square; a square of any colours beside the target;
and bounded in each value, but against the boxes above all, as RTAA (Jia et al. 2020) is."""

BOXES_WEIGHT = 5.0  # of regression against classification in the published RTAA
STRIDE = 2.0  # of all steps together, in units of the bound: enough to get from anywhere to its edge
SQUARE_SIDES = (0.15, 0.4)  # smallest and largest side of a square, as a share of the search crop's


class Pair(NamedTuple):
    """Crops of N targets, RGB in [0, 1]."""

    template: Tensor
    """(N, 3, 127, 127)."""
    search: Tensor
    """(N, 3, side, side)."""

    @classmethod
    def read(cls, batch: Batch) -> Self:
        """The crops of a batch, channels last in memory."""
        crops = (crop.permute(0, 3, 1, 2).flip(1).float() / 255 for crop in (batch.template, batch.search))
        return cls(*(crop.contiguous(memory_format=torch.channels_last) for crop in crops))

    def change(self, branches: Branches, change: Callable[[Tensor], Tensor]) -> Pair:
        """Both crops, of which those that are meant are changed."""
        return Pair(
            self.template if branches == "search" else change(self.template),
            self.search if branches == "template" else change(self.search),
        )


class Attack(NamedTuple):
    """How a batch is attacked; see `DuaLossDefSettings`."""

    kind: Kind
    epsilon: float
    steps: int
    coarseness: float

    @property
    def loc_weight(self) -> float:
        """Weight of regression in the loss that is climbed."""
        return BOXES_WEIGHT if self.kind == "boxes" else LOCALISATION_WEIGHT


def draw_attack(settings: DuaLossDefSettings, generator: torch.Generator) -> Attack:
    """One attack among those that the settings allow."""
    kinds: Sequence[Kind] = KINDS if settings.inner == "mixed" else KINDS[:1]
    kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    fewest, most = settings.inner_steps
    steps = int(torch.randint(fewest, most + 1, (), generator=generator))
    return Attack(kind, _draw(settings.epsilon, generator), steps, _draw(settings.coarseness, generator))


def perturb(
    clean: Pair,
    loss: Callable[[Pair], Tensor],
    attack: Attack,
    branches: Branches,
    box_xyxy: Tensor,
    generator: torch.Generator,
) -> Pair:
    """Crops that raise a loss.

    Args:
        clean: The crops.
        loss: A scalar of crops, with a graph.
        attack: How.
        branches: Which of the crops; a square is in the search crop alone.
        box_xyxy: The targets, (N, 4) in pixels of the search crops; no square covers them.
        generator: Draws the start and the place of squares, on the CPU.

    Returns:
        The crops, in [0, 1] and without a graph. Squares apart, no value moved by more than ``epsilon``, or with the
        kind "l2" their root mean square did not in any of the crops.
    """
    if attack.kind == "square":
        square = draw_squares(clean.search, box_xyxy, generator)
        # Grey is the middle of all colours, so what bounds them is a bound around it.
        clean = Pair(clean.template, torch.where(square, 0.5, clean.search))
        attack, branches = attack._replace(epsilon=0.5), "search"
    else:
        square = None
    start = _start(clean, attack, branches, generator)

    def show(noise: dict[str, Tensor]) -> Pair:
        return clean._replace(**{name: _add(getattr(clean, name), noise[name], square) for name in noise})

    noise = start
    for _ in range(attack.steps):
        leaves = {name: values.requires_grad_() for name, values in noise.items()}
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss(show(leaves)), list(leaves.values()))
        noise = {
            name: _climb(values.detach(), gradient, attack)
            for (name, values), gradient in zip(leaves.items(), gradients, strict=True)
        }
    with torch.no_grad():
        return show(noise)


def draw_squares(search: Tensor, box_xyxy: Tensor, generator: torch.Generator) -> Tensor:
    """Where a square of random size and place is seen, (N, 1, side, side) bool: everywhere but before the target."""
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


def _start(clean: Pair, attack: Attack, branches: Branches, generator: torch.Generator) -> dict[str, Tensor]:
    """Random noise within the bound for each crop that is attacked, on its grid."""
    noise = {}
    for name in ("template", "search"):
        if branches in (name, "both"):
            crop = getattr(clean, name)
            side = round(crop.shape[-1] / attack.coarseness)
            drawn = 2 * torch.rand(len(crop), 3, side, side, generator=generator) - 1
            noise[name] = attack.epsilon * drawn.to(crop.device, memory_format=torch.channels_last)
    return noise


def _add(crop: Tensor, noise: Tensor, square: Tensor | None) -> Tensor:
    if noise.shape[-1] != crop.shape[-1]:
        noise = F.interpolate(noise, size=crop.shape[-2:], mode="bilinear", align_corners=False)
    return (crop + (noise if square is None else noise * square)).clamp(0, 1)


def _climb(noise: Tensor, gradient: Tensor, attack: Attack) -> Tensor:
    step = STRIDE * attack.epsilon / attack.steps
    if attack.kind != "l2":
        return (noise + step * gradient.sign()).clamp(-attack.epsilon, attack.epsilon)
    moved = noise + step * gradient / _root_mean_square(gradient)
    return moved * (attack.epsilon / _root_mean_square(moved)).clamp(max=1)


def _root_mean_square(values: Tensor) -> Tensor:
    return values.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)


def _draw(limits: Sequence[float], generator: torch.Generator) -> float:
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=generator))
