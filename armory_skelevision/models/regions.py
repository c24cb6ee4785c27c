"""Preprocessors of crops instead of whole frames."""

from __future__ import annotations

from typing import Any

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from armory_skelevision.tracking import CropDefense
from armory_skelevision.validation import InvalidTypeError, change_attributes, check_arguments, check_known

_SWITCHES = ("apply_fit", "apply_predict")
"""Settings that ART keeps in attributes of other names."""


class RegionDefense(CropDefense, PreprocessorPyTorch):  # type: ignore[misc]
    """Base of defenses that change only the crops that our trackers pass to their network.

    An estimator takes it among ART's preprocessors, in any order: those of whole frames act first, then the region
    defenses in their order. Subclasses override one or both methods of `CropDefense`.

    Args:
        device_type: "gpu" (used where there is one) or "cpu".
        apply_fit: Whether the defense acts in ART's training, which the trackers of this package do not have.
        apply_predict: Whether the defense acts in tracking.

    Raises:
        InvalidValueError: For a setting out of range.
    """

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Whole videos (N, F, H, W, 3), RGB in [0, 1], which ART passes to the preprocessors of third-party trackers.

        Raises:
            InvalidTypeError: Unless a subclass can work on them.
        """
        expected = f"a tracker of armory_skelevision.models, whose crops {type(self).__name__} changes"
        raise InvalidTypeError("model", expected, "a third-party tracker, which has whole frames only")

    def set_params(self, **kwargs: Any) -> None:
        """Change ``params``, ``apply_fit`` or ``apply_predict``, which are checked as by the constructor.

        Raises:
            InvalidValueError: As from the constructor, and for an unknown setting. Nothing is changed then.
        """
        check_known("", kwargs, [*self.params, *_SWITCHES])
        values = {f"_{name}" if name in _SWITCHES else name: value for name, value in kwargs.items()}
        change_attributes(self, values, self._check_params)

    def _check_params(self) -> None:
        check_arguments(type(self), {**vars(self), **{name: getattr(self, name) for name in _SWITCHES}})
