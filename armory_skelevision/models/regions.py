"""Preprocessors of crops instead of whole frames."""

from __future__ import annotations

from typing import Any

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from armory_skelevision.tracking import Crops
from armory_skelevision.validation import InvalidTypeError


class RegionDefense(PreprocessorPyTorch):  # type: ignore[misc]
    """Base of defenses that change only the crops that our trackers pass to their network.

    An estimator takes it among ART's preprocessors, in any order: those of whole frames act first, then the region
    defenses in their order. Subclasses override one or both methods.

    Crops are (1, 3, size, size), RGB in [0, 1], on the estimator's device.
    """

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The crop that replaces the template ``crop`` (1, 3, size, size) of the video of ``crops``."""
        return crop

    def defend_search(self, crop: Tensor) -> Tensor:
        """The crop that replaces a search ``crop`` (1, 3, size, size)."""
        return crop

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Whole videos (N, F, H, W, 3), RGB in [0, 1], which ART passes to the preprocessors of third-party trackers.

        Raises:
            InvalidTypeError: Unless a subclass can work on them.
        """
        raise InvalidTypeError(
            "model",
            f"a tracker of armory_skelevision.models, whose crops {type(self).__name__} changes",
            "a third-party tracker, which has whole frames only",
        )
