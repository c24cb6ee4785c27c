"""SiamRPN++ with ARMORY's model signature: PySOT's trackers with deep backbones, and their published constants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from armory_skelevision.models.estimator import WrapperSettings
from armory_skelevision.models.siamrpn import SiamRPNEstimator, read_tracker
from armory_skelevision.networks import SiamRPNpp
from armory_skelevision.networks.siamrpnpp import Architecture
from armory_skelevision.tracking import MultiLevelSettings
from armory_skelevision.validation import check_known
from armory_skelevision.weights.resolve import resolve

WrapperKwargs = Annotated[Mapping[str, Any], WrapperSettings, MultiLevelSettings]


def siamrpn_r50_l234_dwxcorr(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: WrapperKwargs, weights_path: str | Path | None = None
) -> SiamRPNEstimator:
    """SiamRPN++ with ResNet-50 (Li et al. 2019), with the weights and constants that PySOT published for VOT.

    Args:
        model_kwargs: Must be empty.
        wrapper_kwargs: ``device_type`` and ``tracking``; see `WrapperSettings` and `MultiLevelSettings`.
        weights_path: A weights file; none is packaged. None looks for ``siamrpn_r50_l234_dwxcorr.pth``, as
            `skelevision weights fetch` names it, in ARMORY's ``saved_model_dir``.

    Raises:
        InvalidValueError: For an unknown key, a value out of range, or weights that are damaged or of another network.
        MissingFileError: If there is no such file; its ``fix`` is how to get it.
    """
    return _build("siamrpn_r50_l234_dwxcorr", model_kwargs, wrapper_kwargs, weights_path)


def siamrpn_r50_l234_dwxcorr_otb(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: WrapperKwargs, weights_path: str | Path | None = None
) -> SiamRPNEstimator:
    """SiamRPN++ with ResNet-50, with the weights and constants that PySOT published for OTB.

    Its heads' answers are averaged without weights.

    Args:
        model_kwargs: Must be empty.
        wrapper_kwargs: See `siamrpn_r50_l234_dwxcorr`, also for the errors.
        weights_path: A weights file; None looks for ``siamrpn_r50_l234_dwxcorr_otb.pth``.
    """
    return _build("siamrpn_r50_l234_dwxcorr_otb", model_kwargs, wrapper_kwargs, weights_path)


def siamrpn_mobilev2_l234_dwxcorr(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: WrapperKwargs, weights_path: str | Path | None = None
) -> SiamRPNEstimator:
    """SiamRPN++ with MobileNetV2, with the weights and constants that PySOT published for VOT.

    Args:
        model_kwargs: Must be empty.
        wrapper_kwargs: See `siamrpn_r50_l234_dwxcorr`, also for the errors.
        weights_path: A weights file; None looks for ``siamrpn_mobilev2_l234_dwxcorr.pth``.
    """
    return _build("siamrpn_mobilev2_l234_dwxcorr", model_kwargs, wrapper_kwargs, weights_path)


def _build(
    name: Architecture,
    model_kwargs: Mapping[str, Any],
    wrapper_kwargs: Mapping[str, Any],
    weights_path: str | Path | None,
) -> SiamRPNEstimator:
    check_known("model_kwargs", model_kwargs, [])
    wrapper = WrapperSettings.from_dict(wrapper_kwargs, "wrapper_kwargs")
    # Wrong constants are named before missing weights are.
    MultiLevelSettings.from_dict(wrapper.tracking, "wrapper_kwargs.tracking")
    network = SiamRPNpp(name)
    path = Path(weights_path or resolve(f"{name}.pth"))
    made = SiamRPNEstimator(network, read_tracker(network, wrapper, path), device_type=wrapper.device_type)
    made.weights_path = path
    return made
