"""NanoTrack with ARMORY's model signature: a third-party tracker with an anchor-free head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from armory_skelevision.models.estimator import SiameseEstimator, WrapperSettings
from armory_skelevision.networks import NanoTrack
from armory_skelevision.networks.nanotrack import Version
from armory_skelevision.tracking import PointSettings
from armory_skelevision.validation import Settings
from armory_skelevision.weights.loading import load_nanotrack
from armory_skelevision.weights.resolve import resolve

# The constants of each version that differ from `PointSettings` (NanoTrack's configv2.yaml and configv3.yaml).
CONSTANTS: dict[int, dict[str, float]] = {
    2: {"penalty_k": 0.150, "window_influence": 0.490, "learning_rate": 0.385},
    3: {},
}


@dataclass(frozen=True)
class NanoTrackSettings(Settings):
    """``model_kwargs`` of `nanotrack`.

    Attributes:
        version: Published version of the network.
    """

    version: Version = 3


def nanotrack(
    model_kwargs: Annotated[Mapping[str, Any], NanoTrackSettings],
    wrapper_kwargs: Annotated[Mapping[str, Any], WrapperSettings, PointSettings],
    weights_path: str | Path | None = None,
) -> SiameseEstimator:
    """NanoTrack (github.com/HonglinChu/SiamTrackers, Apache 2.0), with the weights published there.

    Args:
        model_kwargs: ``version``; see `NanoTrackSettings`.
        wrapper_kwargs: ``device_type`` and ``tracking``; see `WrapperSettings` and `PointSettings`.
        weights_path: ``nanotrackv3.pth`` or ``nanotrackv2.pth``; they are not part of this package. None looks for
            the file of that name in ARMORY's ``saved_model_dir``.

    Raises:
        InvalidValueError: For an unknown key, a value out of range, or weights that are damaged or of another network.
        MissingFileError: If there is no such file; its ``fix`` is how to get it.
    """
    version = NanoTrackSettings.from_dict(model_kwargs, "model_kwargs").version
    wrapper = WrapperSettings.from_dict(wrapper_kwargs, "wrapper_kwargs")
    settings = PointSettings.from_dict(wrapper.tracking, "wrapper_kwargs.tracking", CONSTANTS[version])
    network = NanoTrack(version)
    path = Path(weights_path if weights_path is not None else resolve(f"nanotrackv{version}.pth"))
    load_nanotrack(network, path)
    made = SiameseEstimator(network, settings, device_type=wrapper.device_type)
    made.weights_path = path
    return made
