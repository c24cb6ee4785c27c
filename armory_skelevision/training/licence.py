"""The terms of use of trained weights: those of the data and of the weights that a training starts from."""

from __future__ import annotations

from armory_skelevision.training.data.real_crops.store import is_crop_store
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.validation import InvalidValueError

OURS = "MIT"
"""The licence of rendered people, and so of weights trained on them alone."""


def find_licence(settings: RunSettings, start: str | None = None) -> str:
    """The licence to record in a run's weights file: the setting's, or what follows from data and start.

    Args:
        settings: The run's settings.
        start: The licence of the weights that the run starts from; "" if it is unknown, None for random weights.

    Raises:
        InvalidValueError: If it cannot be known and the setting is null.
    """
    if settings.licence is not None:
        return settings.licence
    if is_crop_store(settings.store):
        source = "pictures of real people, which have their own"
    elif start == "":
        source = "weights of unknown terms"
    else:
        return OURS if start is None else start
    raise InvalidValueError("licence", f"the terms of use of weights that are trained on {source}", "null", "set it")
