"""Trackers as ARMORY models: functions ``(model_kwargs, wrapper_kwargs, weights_path) -> ART estimator``."""

from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.external_estimator import ExternalEstimator
from armory_skelevision.models.external_tracker import external
from armory_skelevision.models.loading import load_tracker
from armory_skelevision.models.nanotracker import nanotrack
from armory_skelevision.models.regions import RegionDefense
from armory_skelevision.models.siamrpn import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl

__all__ = [
    "ExternalEstimator",
    "RegionDefense",
    "SiamRPNEstimator",
    "SiameseEstimator",
    "external",
    "load_tracker",
    "nanotrack",
    "siamrpn_mtl",
    "siamrpn_stl",
]
