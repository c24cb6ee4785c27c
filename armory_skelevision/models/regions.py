"""Preprocessors that stand at the crop instead of the whole frame."""

from __future__ import annotations

from typing import Any

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from armory_skelevision.tracking import Crops
from armory_skelevision.validation import InvalidTypeError


class RegionDefense(PreprocessorPyTorch):  # type: ignore[misc]
    """What changes the crops that our trackers show to their network, and nothing else.

    It is handed to an estimator as ART's preprocessors are, in any order beside them: those of whole frames act first,
    then the region defenses in their order. Subclasses override what they change.

    Crops are (1, 3, size, size), RGB in [0, 1], on the estimator's device.
    """

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """What the network shall see in place of the template ``crop`` of the video that is seen as ``crops``."""
        return crop

    def defend_search(self, crop: Tensor) -> Tensor:
        """What the network shall see in place of a search ``crop``."""
        return crop

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Whole frames, as ART passes them to a preprocessor of a third-party tracker.

        Raises:
            InvalidTypeError: Unless a subclass can work on them.
        """
        raise InvalidTypeError(
            "model",
            f"a tracker of armory_skelevision.models, whose crops {type(self).__name__} changes",
            "a third-party tracker, which has whole frames only",
        )
