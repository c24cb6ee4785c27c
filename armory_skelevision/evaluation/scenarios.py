"""ARMORY scenarios for what its own do not measure; all other configs use its `CarlaVideoTracking`."""

from __future__ import annotations

from armory.instrument import GlobalMeter, get_hub
from armory.scenarios.carla_video_tracking import CarlaVideoTracking

from armory_skelevision.metrics import relative_pck
from armory_skelevision.weights.resolve import resolve


class BackdoorTracking(CarlaVideoTracking):  # type: ignore[misc]
    """Tracking with weights that carry a backdoor, which do not come with the package."""

    def load_model(self, defended: bool = True) -> None:
        """Load the model, unless its weights have still to be trained (`MissingFileError`, with the command)."""
        resolve(self.config["model"]["weights_file"], by_armory=True)
        super().load_model(defended)


class KeypointTracking(CarlaVideoTracking):  # type: ignore[misc]
    """Tracking of people with keypoints; also measures the PCK under attack relative to the benign one."""

    def load_metrics(self) -> None:
        """Connect the one meter that needs benign and adversarial predictions together."""
        super().load_metrics()
        if not (self.skip_benign or self.skip_attack):
            probes = ("scenario.y", "scenario.y_pred", "scenario.y_pred_adv")
            get_hub().connect_meter(GlobalMeter("relative_pck", relative_pck, *probes))
