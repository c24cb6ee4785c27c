"""A tracker with random weights in the place of one whose weights are missing, so that all else can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armory_skelevision.models import ExternalEstimator, SiameseEstimator, SiamRPNEstimator
from armory_skelevision.models.adapter import TrackerAdapter
from armory_skelevision.models.estimator import WrapperSettings
from armory_skelevision.models.external_tracker import ExternalSettings
from armory_skelevision.models.nanotracker import NanoTrackSettings
from armory_skelevision.models.siamrpn import KeypointHeadSettings
from armory_skelevision.networks import AnchorNetwork, NanoTrack, SiamRPN
from armory_skelevision.tracking import PointSettings, TrackerSettings
from armory_skelevision.validation import check_known
from armory_skelevision.weights.architectures import ARCHITECTURES


class StandingTracker:
    """An external tracker that leaves the box where it is."""

    def initialize(self, image: Any, box_xywh: Any) -> None:
        """Start."""
        self.box_xywh = box_xywh

    def track(self, image: Any) -> Any:
        """The first box."""
        return self.box_xywh


def make_stand_in(section: Mapping[str, Any]) -> SiameseEstimator | ExternalEstimator:
    """The tracker of the ``model`` section of a config, on the CPU, with random weights.

    Raises:
        InvalidValueError: For ``model_kwargs`` or ``wrapper_kwargs`` that the tracker does not take.
    """
    kwargs = section["model_kwargs"]
    tracking = WrapperSettings.from_dict(section["wrapper_kwargs"], "wrapper_kwargs").tracking
    if section["name"] == "external":
        factory = ExternalSettings.from_dict(kwargs, "model_kwargs").factory
        return ExternalEstimator(TrackerAdapter(StandingTracker(), factory), device_type="cpu")
    if section["name"] == "nanotrack":
        points = PointSettings.from_dict(tracking, "wrapper_kwargs.tracking")
        nanotrack = NanoTrack(NanoTrackSettings.from_dict(kwargs, "model_kwargs").version)
        return SiameseEstimator(nanotrack, points, device_type="cpu")
    if section["name"] in ARCHITECTURES:
        check_known("model_kwargs", kwargs, [])
        architecture = ARCHITECTURES[section["name"]]
        constants = architecture.settings.from_dict(tracking, "wrapper_kwargs.tracking", architecture.constants)
        network = architecture.make()
        kind = SiamRPNEstimator if isinstance(network, AnchorNetwork) else SiameseEstimator
        return kind(network, constants, device_type="cpu")
    settings = TrackerSettings.from_dict(tracking, "wrapper_kwargs.tracking")
    if section["name"] == "siamrpn_mtl":
        head = KeypointHeadSettings.from_dict(kwargs, "model_kwargs").keypoint_head
        return SiamRPNEstimator(SiamRPN(head), settings, device_type="cpu")
    check_known("model_kwargs", kwargs, [])
    return SiamRPNEstimator(SiamRPN(), settings, device_type="cpu")
