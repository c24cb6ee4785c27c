"""DuaLossDef: a network in front of the tracker's that takes perturbations away (arXiv 2402.17976)."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from armory_skelevision.io import hash_file
from armory_skelevision.models import RegionDefense
from armory_skelevision.models.inputs import check_choice
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.tracking import Crops
from armory_skelevision.weights.resolve import resolve
from armory_skelevision.weights.unet import load_unet, read_width

Branches = Literal["template", "search", "both"]

log = logging.getLogger(__name__)


class DuaLossDef(RegionDefense):
    """A trained U-Net that cleans the crops of our trackers, or the whole frames of any other one.

    It is differentiable: attacks that look through preprocessors look through it. The tracker stays as it is.

    Args:
        weights_file: Weights of the U-Net: a path, a name in ARMORY's ``saved_model_dir``, or a packaged file's name.
        width: "small", "base" or "large", as the weights are; see `networks.unet`. None for what the file says.
        branches: The crops that are cleaned: "template", "search" or "both". Whole frames have no branches.
        sha256: What the file's hash must be; None takes any file. The hash is logged at the level INFO, too.
        device_type: "gpu" (used where there is one) or "cpu".
        apply_fit: Whether it acts in ART's training, which our trackers do not have.
        apply_predict: Whether it acts at all.

    Attributes:
        network: The U-Net, frozen.

    Raises:
        ValueError: For an unknown width or branch, weights that do not fit or are damaged, or another hash.
        FileNotFoundError: If there is no such file.
    """

    params = ["branches"]

    def __init__(
        self,
        weights_file: str | os.PathLike[str],
        width: Literal["small", "base", "large"] | None = None,
        branches: Branches = "both",
        sha256: str | None = None,
        device_type: str = "gpu",
        apply_fit: bool = False,
        apply_predict: bool = True,
    ) -> None:
        super().__init__(device_type=device_type, is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.branches = branches
        self._check_params()
        check_choice("width", width, [None, *UNETS])
        path = resolve(weights_file)
        found = hash_file(path)
        if sha256 not in (None, found):
            raise ValueError(f"sha256: expected {path} to have {sha256}, got {found}: it is another file")
        self.network = UNETS[width or read_width(path)]()
        load_unet(self.network, path)
        self.network.to(self.device).eval().requires_grad_(False)
        log.info("%s: %s, SHA-256 %s", type(self).__name__, path, found)

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """See `RegionDefense.defend_template`."""
        return crop if self.branches == "search" else self._clean(crop)

    def defend_search(self, crop: Tensor) -> Tensor:
        """See `RegionDefense.defend_search`."""
        return crop if self.branches == "template" else self._clean(crop)

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Clean whole frames, for trackers that are not ours.

        Args:
            x: Frames or videos (..., H, W, 3), RGB in [0, 1].
            y: Labels, which pass through.

        Returns:
            The frames, same shape, clipped to [0, 1], and the labels.

        Raises:
            ValueError: For another shape, or values outside [0, 1].
        """
        if x.dim() < 3 or x.shape[-1] != 3:
            raise ValueError(f"{type(self).__name__}: expected frames (..., H, W, 3), got {tuple(x.shape)}")
        low, high = x.detach().aminmax()
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ValueError(f"{type(self).__name__}: expected colours in [0, 1], got {low:.4g} to {high:.4g}")
        images = x.flatten(0, -4).movedim(-1, 1) if x.dim() > 3 else x.movedim(-1, 0)[None]
        # One after the other: the activations of a whole video would not fit into memory.
        cleaned = torch.cat([self._clean(image[None]) for image in images]).movedim(1, -1)
        return cleaned.reshape(x.shape).clamp(0, 1), y

    def _clean(self, images: Tensor) -> Tensor:
        # Its activations are larger than the tracker's, so they are not kept but computed again on the way back.
        cleaned: Tensor = checkpoint(
            self.network, images.to(self.device), use_reentrant=False, preserve_rng_state=False
        )
        return cleaned.to(images.device)

    def _check_params(self) -> None:
        check_choice("branches", self.branches, get_args(Branches))
