"""Multi-task Siamese person trackers under physical patch attacks, as plugins for ARMORY and ART.

From Python::

    from armory_skelevision import evaluate, load_tracker, load_video
    from armory_skelevision.attacks import PatchAttack

    tracker = load_tracker("siamrpn_mtl")
    video = load_video("walkers/mini/0")
    result = evaluate(tracker, video, attack=PatchAttack(tracker, max_iter=10))

ARMORY configs name the modules `armory_skelevision.models`, `.attacks`, `.defenses`, `.datasets` and `.metrics`.
Importing the package alone loads none of them, and neither PyTorch nor ARMORY.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armory_skelevision.datasets import load_video
    from armory_skelevision.evaluation.evaluate import evaluate
    from armory_skelevision.models import load_tracker

__version__ = "0.1.0"

__all__ = ["__version__", "evaluate", "load_tracker", "load_video"]

_MODULES = {
    "evaluate": "armory_skelevision.evaluation.evaluate",
    "load_tracker": "armory_skelevision.models",
    "load_video": "armory_skelevision.datasets",
}


def __getattr__(name: str) -> Any:
    """Import a function of `__all__` when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Everything that can be imported from here."""
    return sorted({*globals(), *__all__})
