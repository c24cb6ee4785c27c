"""A defense of one's own: a soft look. What is finer than `sigma` pixels is blurred away, patterns of patches too."""

from __future__ import annotations

from typing import Any

from kornia.filters import gaussian_blur2d
from torch import Tensor

from armory_skelevision.models import RegionDefense
from armory_skelevision.tracking import Crops
from armory_skelevision.validation import Positive, check_arguments


class SoftLook(RegionDefense):
    """Blurs the crops that this package's trackers see, and the whole frames that those of others do.

    Attacks see through it: it is made of differentiable operations.

    Args:
        sigma: Of the Gaussian, in pixels.
        apply_fit: Whether it acts in ART's training; ARMORY may say so.
        apply_predict: Whether it acts at all.
    """

    params = ["sigma"]

    def __init__(self, sigma: Positive = 1.0, apply_fit: bool = False, apply_predict: bool = True) -> None:
        super().__init__(is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.sigma = sigma
        check_arguments(type(self), vars(self))

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The picture (1, 3, s, s) of the target in frame 0, blurred."""
        return self._blur(crop)

    def defend_search(self, crop: Tensor) -> Tensor:
        """The picture (1, 3, s, s) in which the target is sought, blurred."""
        return self._blur(crop)

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Whole videos (N, F, H, W, 3), as ART hands them to the preprocessors of trackers of others."""
        frames = self._blur(x.flatten(0, 1).permute(0, 3, 1, 2))
        return frames.permute(0, 2, 3, 1).view_as(x), y

    def _blur(self, pictures: Tensor) -> Tensor:
        size = 2 * round(3 * self.sigma) + 1
        blurred: Tensor = gaussian_blur2d(pictures, (size, size), (self.sigma, self.sigma))
        return blurred
