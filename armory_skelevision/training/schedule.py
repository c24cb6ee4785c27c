"""How the learning rate changes over a run."""

from __future__ import annotations

import math

from armory_skelevision.training.settings import Settings

# Das et al. train for 50 epochs, and their code multiplies the learning rate by this after each.
EPOCHS = 50
DECAY = 0.95


def rate_factor(settings: Settings, step: int) -> float:
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
