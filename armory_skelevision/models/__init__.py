"""Trackers as ARMORY models: functions ``(model_kwargs, wrapper_kwargs, weights_path) -> ART estimator``."""

from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.external_estimator import ExternalEstimator
from armory_skelevision.models.external_tracker import external
from armory_skelevision.models.loading import load_tracker
from armory_skelevision.models.nanotracker import nanotrack
from armory_skelevision.models.regions import RegionDefense
from armory_skelevision.models.siamfcpp import siamfcpp_alexnet
from armory_skelevision.models.siamrpn import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl
from armory_skelevision.models.siamrpnpp import (
    siamrpn_mobilev2_l234_dwxcorr,
    siamrpn_r50_l234_dwxcorr,
    siamrpn_r50_l234_dwxcorr_otb,
)

__all__ = [
    "ExternalEstimator",
    "RegionDefense",
    "SiamRPNEstimator",
    "SiameseEstimator",
    "external",
    "load_tracker",
    "nanotrack",
    "siamfcpp_alexnet",
    "siamrpn_mobilev2_l234_dwxcorr",
    "siamrpn_mtl",
    "siamrpn_r50_l234_dwxcorr",
    "siamrpn_r50_l234_dwxcorr_otb",
    "siamrpn_stl",
]
