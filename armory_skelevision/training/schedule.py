"""The optimiser, and how its learning rate changes over a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import Parameter

from armory_skelevision.training.settings import RunSettings

# Das et al. train for 50 epochs, and their code multiplies the learning rate by this after each.
EPOCHS = 50
DECAY = 0.95


def make_optimiser(parameters: Iterable[Parameter], settings: RunSettings) -> OptimizerLRScheduler:
    """AdamW without decay of biases and norms, its learning rate changing step by step."""
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    kernels = [parameter for parameter in learned if parameter.dim() > 1]
    others = [parameter for parameter in learned if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate_factor, settings))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(settings: RunSettings, step: int) -> float:
    """What the learning rate is multiplied by at a step, in [0, 1].

    It rises linearly over ``warmup_steps`` and falls all along: "cosine" to zero at the end, "exponential" in stairs,
    the run counting as 50 epochs whatever its length.

    Args:
        settings: Schedule and lengths.
        step: Steps done, from 0.
    """
    rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.schedule == "exponential":
        return rise * DECAY ** (EPOCHS * step // settings.steps)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
