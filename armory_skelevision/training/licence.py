"""The terms of use of trained weights: those of the data and of the weights that a training starts from."""

from __future__ import annotations

from armory_skelevision.training.data.real_crops.store import CropStore, is_crop_store
from armory_skelevision.training.data.rendered_pairs.store import read_sources
from armory_skelevision.training.settings import RunSettings, shares_of

OURS = "MIT"
"""The licence of rendered people, and so of weights trained on them alone."""

UNKNOWN = "unknown terms of the initial weights"


def find_licence(settings: RunSettings, start: str | None = None) -> str:
    """The licence to record in a run's weights file: the setting's, or what follows from data and start.

    Args:
        settings: The run's settings.
        start: The licence of the weights that the run starts from; None for random weights.
    """
    if settings.licence is not None:
        return settings.licence
    terms = [] if start is None or start == OURS else start.split("; ")
    sources = {source for folder in shares_of("store", settings.store) for source in _find_sources(folder)}
    if sources:
        terms.append(f"terms of the pictures of {', '.join(sorted(sources))}")
    return "; ".join(dict.fromkeys(terms)) or OURS


def _find_sources(folder: str) -> tuple[str, ...]:
    """The data sets that real people in a store are from."""
    return CropStore(folder).sources if is_crop_store(folder) else read_sources(folder)
