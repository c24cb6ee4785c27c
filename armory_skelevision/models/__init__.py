"""Trackers as ARMORY models: functions ``(model_kwargs, wrapper_kwargs, weights_path) -> ART estimator``."""

from armory_skelevision.models.estimator import SiamRPNEstimator
from armory_skelevision.models.siamrpn import siamrpn_mtl, siamrpn_stl

__all__ = ["SiamRPNEstimator", "siamrpn_mtl", "siamrpn_stl"]
