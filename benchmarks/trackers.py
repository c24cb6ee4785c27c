"""One tracker of each kind that the package has. Weights are random, except those of SiamRPN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch

Make = Callable[[], Any]


def make_trackers(device: Literal["gpu", "cpu"] = "cpu") -> dict[str, Make]:
    """How to make each, by its name."""
    from armory_skelevision.models import SiameseEstimator, SiamRPNEstimator, siamrpn_mtl
    from armory_skelevision.networks import NanoTrack, SiamFCpp, SiamRPNpp
    from armory_skelevision.tracking import MultiLevelSettings, PointSettings, QualitySettings

    def wrap(kind: type[SiameseEstimator], network: Callable[[], Any], settings: Any) -> Make:
        def make() -> SiameseEstimator:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return kind(network(), settings, device_type=device)

        return make

    return {
        "SiamRPN (MTL)": lambda: siamrpn_mtl({}, {"device_type": device}),
        "SiamRPN++ (ResNet-50)": wrap(SiamRPNEstimator, SiamRPNpp, MultiLevelSettings()),
        "SiamFC++": wrap(SiameseEstimator, SiamFCpp, QualitySettings()),
        "NanoTrack": wrap(SiameseEstimator, NanoTrack, PointSettings()),
    }
