"""ARMORY scenarios for what its own do not measure; everywhere else its `CarlaVideoTracking` serves."""

from __future__ import annotations

from armory.instrument import GlobalMeter, get_hub
from armory.scenarios.carla_video_tracking import CarlaVideoTracking

from armory_skelevision.keypoint_metrics import relative_pck


class KeypointTracking(CarlaVideoTracking):  # type: ignore[misc]
    """Tracking of people whose joints are looked at: also measures ``relative_pck``, of attacked against benign."""

    def load_metrics(self) -> None:
        """Connect the one meter that needs benign and adversarial predictions together."""
        super().load_metrics()
        if not (self.skip_benign or self.skip_attack):
            probes = ("scenario.y", "scenario.y_pred", "scenario.y_pred_adv")
            get_hub().connect_meter(GlobalMeter("relative_pck", relative_pck, *probes))
