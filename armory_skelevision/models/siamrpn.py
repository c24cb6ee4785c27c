"""SiamRPN trackers with ARMORY's model signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from torch import Tensor

from armory_skelevision.models.estimator import SiameseEstimator, WrapperSettings
from armory_skelevision.models.keypoints import read_keypoints
from armory_skelevision.networks import AnchorNetwork, SiameseNetwork, SiamRPN
from armory_skelevision.networks.keypoint_head import HeadKind
from armory_skelevision.tracking import TemplateMatcher, TrackerSettings
from armory_skelevision.tracking.tracker import check_finite
from armory_skelevision.tracking.windows import initial_state, template_window
from armory_skelevision.validation import Settings, check_known
from armory_skelevision.weights.architectures import ARCHITECTURES
from armory_skelevision.weights.loading import load_weights
from armory_skelevision.weights.packaged import packaged_weights


class SiamRPNEstimator(SiameseEstimator):
    """SiamRPN and SiamRPN++.

    With a keypoint head, predictions also have ``keypoints`` (17, 3): x, y in frame 0, and confidence.
    """

    network_type = AnchorNetwork

    @property
    def min_frames(self) -> int:  # type: ignore[override]
        """Smallest number of frames of a video; with a keypoint head a single picture is enough."""
        return 2 if self.model.keypoint_head is None else 1

    def find_keypoints(self, matcher: TemplateMatcher) -> Tensor:
        """The keypoints of an embedded template, for a tracker with a keypoint head: (17, 3), as `predict` has them."""
        window = template_window(initial_state(matcher.crops.box_xyxy, self.settings), self.settings)
        found = self.model.keypoints(matcher.template_features)[0]
        check_finite([found], "the keypoint head's output", 0)
        return read_keypoints(found, window)

    def _read_template(self, matcher: TemplateMatcher) -> dict[str, Tensor]:
        return {} if self.model.keypoint_head is None else {"keypoints": self.find_keypoints(matcher)}


@dataclass(frozen=True)
class KeypointHeadSettings(Settings):
    """``model_kwargs`` of `siamrpn_mtl`.

    Attributes:
        keypoint_head: "shallow" (heatmaps, 128 and 64 channels), "deep" (heatmaps, 128, 128, 64, 64), or "regression"
            of coordinates, for comparison.
    """

    keypoint_head: HeadKind = "shallow"


def siamrpn_stl(
    model_kwargs: Mapping[str, Any],
    wrapper_kwargs: Annotated[Mapping[str, Any], WrapperSettings, TrackerSettings],
    weights_path: str | Path | None = None,
) -> SiamRPNEstimator:
    """The single-task tracker (STL): boxes only.

    Args:
        model_kwargs: Must be empty.
        wrapper_kwargs: ``device_type`` and ``tracking``; see `WrapperSettings` and `TrackerSettings`.
        weights_path: A weights file; None takes the packaged weights.

    Raises:
        InvalidValueError: For an unknown key, a value out of range, or weights that are damaged or of another network.
        MissingFileError: If there is no such file.
    """
    check_known("model_kwargs", model_kwargs, [])
    return _build(SiamRPN(), wrapper_kwargs, weights_path, "siamrpn_alex_stl.safetensors")


def siamrpn_mtl(
    model_kwargs: Annotated[Mapping[str, Any], KeypointHeadSettings],
    wrapper_kwargs: Annotated[Mapping[str, Any], WrapperSettings, TrackerSettings],
    weights_path: str | Path | None = None,
) -> SiamRPNEstimator:
    """The multi-task tracker (MTL, SkeleVision): boxes, and the template's 17 human keypoints.

    Args:
        model_kwargs: ``keypoint_head``; see `KeypointHeadSettings`.
        wrapper_kwargs: See `siamrpn_stl`, also for the errors.
        weights_path: A weights file; None takes the packaged weights.
    """
    kind = KeypointHeadSettings.from_dict(model_kwargs, "model_kwargs").keypoint_head
    return _build(SiamRPN(keypoint_head=kind), wrapper_kwargs, weights_path, "siamrpn_alex_mtl.safetensors")


def _build(
    network: SiamRPN, wrapper_kwargs: Mapping[str, Any], weights_path: str | Path | None, default: str
) -> SiamRPNEstimator:
    wrapper = WrapperSettings.from_dict(wrapper_kwargs, "wrapper_kwargs")
    path = packaged_weights(default) if weights_path is None else Path(weights_path)
    made = SiamRPNEstimator(network, read_tracker(network, wrapper, path), device_type=wrapper.device_type)
    made.weights_path = path
    return made


def read_tracker(network: SiameseNetwork, wrapper: WrapperSettings, path: str | Path) -> TrackerSettings:
    """Fill a network with the weights of a file, and return the tracker's constants.

    Those of a config take precedence over those that the file records, and these over those of the architecture.
    """
    metadata = load_weights(network, path)
    architecture = ARCHITECTURES[str(network.architecture)]
    recorded = {**architecture.constants, **(metadata.tracking if metadata else {})}
    return architecture.settings.from_dict(wrapper.tracking, "wrapper_kwargs.tracking", recorded)
