"""The trackers that weights files are for, by the names of their architectures: networks, and published constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from armory_skelevision.networks import SiameseNetwork, SiamFCpp, SiamRPN, SiamRPNpp
from armory_skelevision.tracking import MultiLevelSettings, QualitySettings, TrackerSettings

SIAMRPN = "siamrpn_alex"
"""The architecture of this package's own weights, the one that may have a keypoint head."""


class Architecture(NamedTuple):
    """One architecture."""

    make: Callable[[], SiameseNetwork]
    """Makes the network, with random weights and without a keypoint head."""
    settings: type[TrackerSettings]
    """The class of its constants."""
    constants: Mapping[str, float] = {}
    """The published constants that differ from the defaults of the class."""


# Constants: experiments/*/config.yaml of github.com/STVIR/pysot; those of SiamFC++, experiments/siamfcpp/test/vot of
# github.com/MegviiDetection/video_analyst.
ARCHITECTURES = {
    SIAMRPN: Architecture(SiamRPN, TrackerSettings),
    "siamrpn_r50_l234_dwxcorr": Architecture(SiamRPNpp, MultiLevelSettings),
    "siamrpn_r50_l234_dwxcorr_otb": Architecture(
        partial(SiamRPNpp, "siamrpn_r50_l234_dwxcorr_otb"),
        MultiLevelSettings,
        {"penalty_k": 0.24, "window_influence": 0.5, "learning_rate": 0.25},
    ),
    "siamrpn_mobilev2_l234_dwxcorr": Architecture(
        partial(SiamRPNpp, "siamrpn_mobilev2_l234_dwxcorr"),
        MultiLevelSettings,
        {"penalty_k": 0.04, "window_influence": 0.4, "learning_rate": 0.5},
    ),
    "siamfcpp_alexnet": Architecture(SiamFCpp, QualitySettings),
}


def recognise(names: Iterable[str]) -> str:
    """The name of the architecture that has tensors of these names, as far as they tell; else "siamrpn_alex"."""
    names = set(names)
    if any(name.startswith("head.cls_p5_conv") for name in names):
        return "siamfcpp_alexnet"
    if not any(name.startswith("rpn_head.rpn") for name in names):
        return SIAMRPN
    if any(name.startswith("backbone.layer0.") for name in names):
        return "siamrpn_mobilev2_l234_dwxcorr"
    is_weighted = names & {"rpn_head.cls_weight", "rpn_head.loc_weight"}
    return "siamrpn_r50_l234_dwxcorr" if is_weighted else "siamrpn_r50_l234_dwxcorr_otb"
