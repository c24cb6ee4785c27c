"""SiamRPN trackers with ARMORY's model signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.inputs import refuse_unknown
from armory_skelevision.models.keypoints import locate_keypoints
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import Crops, TrackerSettings
from armory_skelevision.weights import load_weights, read_metadata
from armory_skelevision.weights.packaged import packaged_weights


class SiamRPNEstimator(SiameseEstimator):
    """SiamRPN. With a keypoint head, predictions also hold ``keypoints`` (17, 3): x, y in frame 0, and confidence.

    Args:
        model: The network.
        settings: Constants of the tracking recurrence; None for PySOT's.
        kwargs: As for `SiameseEstimator`.
    """

    def __init__(self, model: SiamRPN, settings: TrackerSettings | None = None, **kwargs: Any) -> None:
        super().__init__(model, settings or TrackerSettings(), **kwargs)

    @property
    def fewest_frames(self) -> int:  # type: ignore[override]
        """As for `SiameseEstimator`; a single picture has keypoints too."""
        return 2 if self.model.keypoint_head is None else 1

    def _observe(self, crops: Crops) -> dict[str, Tensor]:
        result = super()._observe(crops)
        if self.model.keypoint_head is not None:
            result["keypoints"] = locate_keypoints(self.model, crops)
        return result


def siamrpn_stl(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: Mapping[str, Any], weights_path: str | Path | None = None
) -> SiamRPNEstimator:
    """The single-task tracker (STL): boxes only.

    Args:
        model_kwargs: Nothing is known here; must be empty.
        wrapper_kwargs: ``device_type`` ("gpu" or "cpu") and ``tracking`` (see `TrackerSettings`; what is not given here
            is as the weights say, or as usual).
        weights_path: Weights as `networks.weights` reads them; None takes the packaged ones.

    Raises:
        ValueError: For an unknown key, or weights that are broken or of another architecture.
        FileNotFoundError: If there is no such file.
    """
    refuse_unknown("model_kwargs", model_kwargs, [])
    return _build(SiamRPN(), wrapper_kwargs, weights_path, "siamrpn_alex_stl.safetensors")


def siamrpn_mtl(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: Mapping[str, Any], weights_path: str | Path | None = None
) -> SiamRPNEstimator:
    """The multi-task tracker (MTL, SkeleVision): boxes, and the template's 17 human keypoints.

    Args:
        model_kwargs: ``keypoint_head``: "shallow" (default) or "deep".
        wrapper_kwargs: As for `siamrpn_stl`.
        weights_path: As for `siamrpn_stl`.

    Raises:
        ValueError, FileNotFoundError: As for `siamrpn_stl`.
    """
    refuse_unknown("model_kwargs", model_kwargs, ["keypoint_head"])
    depth: Literal["shallow", "deep"] = model_kwargs.get("keypoint_head", "shallow")
    return _build(SiamRPN(keypoint_head=depth), wrapper_kwargs, weights_path, "siamrpn_alex_mtl.safetensors")


def _build(
    network: SiamRPN, wrapper_kwargs: Mapping[str, Any], weights_path: str | Path | None, default: str
) -> SiamRPNEstimator:
    refuse_unknown("wrapper_kwargs", wrapper_kwargs, ["device_type", "tracking"])
    path = weights_path if weights_path is not None else packaged_weights(default)
    load_weights(network, path)
    metadata = read_metadata(path)
    settings = TrackerSettings.from_dict(wrapper_kwargs.get("tracking", {}), metadata.tracking if metadata else {})
    return SiamRPNEstimator(network, settings, device_type=wrapper_kwargs.get("device_type", "gpu"))
