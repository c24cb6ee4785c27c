"""DuaLossDef: a network in front of the tracker that removes perturbations (arXiv 2402.17976)."""

from __future__ import annotations

import logging
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from armory_skelevision.io import hash_file
from armory_skelevision.models import RegionDefense
from armory_skelevision.tracking import Crops
from armory_skelevision.validation import AnyPath, InvalidValueError, check_arguments
from armory_skelevision.weights.resolve import resolve
from armory_skelevision.weights.unet import read_unet

Branches = Literal["template", "search", "both"]

log = logging.getLogger(__name__)


class DuaLossDef(RegionDefense):
    """A trained U-Net that cleans the crops of the trackers of this package, or the whole frames of any other tracker.

    It is differentiable, so that attacks on the tracker go through it. The tracker is not changed.

    Args:
        weights_file: Weights of the U-Net: a path, a name in ARMORY's ``saved_model_dir``, or a packaged file's name.
        width: "small", "base" or "large", as the weights were trained; see `networks.unet`. None reads it from the
            file.
        branches: The crops to clean: "template", "search" or "both". Whole frames have no branches.
        sha256: SHA-256 hash that the file must have; None accepts any file. The hash is logged at the level INFO.

    Attributes:
        network: The U-Net, frozen.

    Raises:
        InvalidValueError: For a setting that is not one of those listed, another hash, or weights that are damaged or
            do not fit the width.
        MissingFileError: If there is no such file.
    """

    params = ["weights_file", "width", "branches", "sha256"]

    def __init__(
        self,
        weights_file: AnyPath,
        width: Literal["small", "base", "large"] | None = None,
        branches: Branches = "both",
        sha256: str | None = None,
        device_type: Literal["gpu", "cpu"] = "gpu",
        apply_fit: bool = False,
        apply_predict: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in self.params}
        check_arguments(DuaLossDef, {"device_type": device_type})
        super().__init__(device_type=device_type, is_fitted=True)
        self._loaded: tuple[Any, ...] | None = None
        self.set_params(**settings, apply_fit=apply_fit, apply_predict=apply_predict)

    def _check_params(self) -> None:
        super()._check_params()
        wanted = (self.weights_file, self.width, self.sha256)
        if wanted != self._loaded:
            self.network = self._load()
            self._loaded = wanted

    def _load(self) -> nn.Module:
        path = resolve(self.weights_file)
        found = hash_file(path)
        if self.sha256 not in (None, found):
            raise InvalidValueError(
                "sha256", f"{found}, the hash of {path}", self.sha256, "give the right file or hash"
            )
        network = read_unet(path, self.width)
        log.info("%s: %s, SHA-256 %s", type(self).__name__, path, found)
        return network.to(self.device).eval().requires_grad_(False)

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The template (1, 3, size, size), cleaned unless only search crops are."""
        return crop if self.branches == "search" else self._clean(crop)

    def defend_search(self, crop: Tensor) -> Tensor:
        """A search crop (1, 3, size, size), cleaned unless only the template is."""
        return crop if self.branches == "template" else self._clean(crop)

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Clean whole frames or videos (..., H, W, 3), RGB in [0, 1], for third-party trackers.

        Returns:
            The frames, same shape, clipped to [0, 1], and the labels ``y`` unchanged.

        Raises:
            InvalidValueError: For another shape, or values outside [0, 1].
        """
        if x.dim() < 3 or x.shape[-1] != 3:
            raise InvalidValueError("x", "frames (..., H, W, 3)", f"shape {tuple(x.shape)}")
        low, high = x.detach().aminmax()
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise InvalidValueError("x", "values in [0, 1]", f"{low:.4g} to {high:.4g}", "divide by 255")
        images = x.flatten(0, -4).movedim(-1, 1) if x.dim() > 3 else x.movedim(-1, 0)[None]
        # One by one: the activations of a whole video would not fit into memory.
        cleaned = torch.cat([self._clean(image[None]) for image in images]).movedim(1, -1)
        return cleaned.reshape(x.shape).clamp(0, 1), y

    def _clean(self, images: Tensor) -> Tensor:
        # The activations are larger than the tracker's, so they are recomputed in the backward pass.
        moved = images.to(self.device)
        cleaned: Tensor = checkpoint(self.network, moved, use_reentrant=False, preserve_rng_state=False)
        return cleaned.to(images.device)
