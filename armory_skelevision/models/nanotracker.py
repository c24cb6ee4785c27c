"""NanoTrack with ARMORY's model signature: a tracker of others, with an anchor-free head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.inputs import refuse_unknown
from armory_skelevision.networks import NanoTrack
from armory_skelevision.tracking import PointSettings
from armory_skelevision.weights import load_nanotrack
from armory_skelevision.weights.resolve import resolve

# The constants of each version that are not those of `PointSettings` (NanoTrack's configv2.yaml and configv3.yaml).
CONSTANTS: dict[int, dict[str, float]] = {
    2: {"penalty_k": 0.150, "window_influence": 0.490, "learning_rate": 0.385},
    3: {},
}


def nanotrack(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: Mapping[str, Any], weights_path: str | Path | None = None
) -> SiameseEstimator:
    """NanoTrack (github.com/HonglinChu/SiamTrackers, Apache 2.0), with the weights published there.

    Args:
        model_kwargs: ``version``: 3 (default) or 2.
        wrapper_kwargs: ``device_type`` ("gpu" or "cpu") and ``tracking`` (see `PointSettings`).
        weights_path: ``nanotrackv3.pth`` or ``nanotrackv2.pth``; they are not part of this package. None looks for
            the file of that name in ARMORY's ``saved_model_dir``.

    Raises:
        ValueError: For an unknown key or version, or weights that are broken or of another network.
        MissingFileError: If there is no such file; says how to get it.
    """
    refuse_unknown("model_kwargs", model_kwargs, ["version"])
    refuse_unknown("wrapper_kwargs", wrapper_kwargs, ["device_type", "tracking"])
    network = NanoTrack(model_kwargs.get("version", 3))
    settings = PointSettings.from_dict(wrapper_kwargs.get("tracking", {}), CONSTANTS[network.version])
    load_nanotrack(network, weights_path if weights_path is not None else resolve(f"nanotrackv{network.version}.pth"))
    return SiameseEstimator(network, settings, device_type=wrapper_kwargs.get("device_type", "gpu"))
