"""The optimiser and its learning rate schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import Parameter

from armory_skelevision.training.settings import RunSettings

# Das et al. (2022) train for 50 epochs; their code multiplies the learning rate by this factor after each.
EPOCHS = 50
DECAY = 0.95


def make_optimiser(parameters: Iterable[Parameter], settings: RunSettings) -> OptimizerLRScheduler:
    """AdamW, without weight decay for biases and norms, and its schedule, which changes the learning rate every step.

    Frozen parameters are left out.
    """
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    kernels = [parameter for parameter in learned if parameter.dim() > 1]
    others = [parameter for parameter in learned if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate_factor, settings))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(settings: RunSettings, step: int) -> float:
    """The factor of the learning rate after a number of steps, in [0, 1].

    It rises linearly over ``warmup_steps`` and falls all along: "cosine" to zero at the end, "exponential" in 50 equal
    stairs, the epochs of the published code.
    """
    rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.schedule == "exponential":
        return rise * DECAY ** (EPOCHS * step // settings.steps)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
