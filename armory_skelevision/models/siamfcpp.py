"""SiamFC++ with ARMORY's model signature: video_analyst's tracker, the one of the text on template adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from armory_skelevision.models.estimator import SiameseEstimator, WrapperSettings
from armory_skelevision.models.siamrpn import read_tracker
from armory_skelevision.networks import SiamFCpp
from armory_skelevision.tracking import QualitySettings
from armory_skelevision.validation import check_known
from armory_skelevision.weights.resolve import SIAMFCPP_FILE, resolve


def siamfcpp_alexnet(
    model_kwargs: Mapping[str, Any],
    wrapper_kwargs: Annotated[Mapping[str, Any], WrapperSettings, QualitySettings],
    weights_path: str | Path | None = None,
) -> SiameseEstimator:
    """SiamFC++ with AlexNet (Xu et al. 2020), with the weights and constants that video_analyst published for VOT.

    Args:
        model_kwargs: Must be empty.
        wrapper_kwargs: ``device_type`` and ``tracking``; see `WrapperSettings` and `QualitySettings`.
        weights_path: A weights file; none is packaged. None looks for the published file
            ``siamfcpp-alexnet-vot-md5_88e4e9ee476545b952b04ae80c480f08.pkl`` in ARMORY's ``saved_model_dir``.

    Raises:
        InvalidValueError: For an unknown key, a value out of range, or weights that are damaged or of another network.
        MissingFileError: If there is no such file; its ``fix`` is how to get it.
    """
    check_known("model_kwargs", model_kwargs, [])
    wrapper = WrapperSettings.from_dict(wrapper_kwargs, "wrapper_kwargs")
    # Wrong constants are named before missing weights are.
    QualitySettings.from_dict(wrapper.tracking, "wrapper_kwargs.tracking")
    network = SiamFCpp()
    path = Path(weights_path or resolve(SIAMFCPP_FILE))
    made = SiameseEstimator(network, read_tracker(network, wrapper, path), device_type=wrapper.device_type)
    made.weights_path = path
    return made
