"""ARMORY scenarios for what its own do not measure; everywhere else its `CarlaVideoTracking` serves."""

from __future__ import annotations

from pathlib import Path

from armory import paths
from armory.instrument import GlobalMeter, get_hub
from armory.scenarios.carla_video_tracking import CarlaVideoTracking

from armory_skelevision.metrics import relative_pck


class BackdoorTracking(CarlaVideoTracking):  # type: ignore[misc]
    """Tracking with weights that carry a backdoor. They do not travel with the package; a run without them says so."""

    def load_model(self, defended: bool = True) -> None:
        """Load the model, unless its weights have still to be trained.

        Raises:
            FileNotFoundError: If they are not there; the message says how to come by them.
        """
        weights = self.config["model"]["weights_file"]
        path = Path(paths.runtime_paths().saved_model_dir) / weights
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no {path}: weights with a backdoor do not come with the package. Train them by "
                "`skelevision train backdoor training_configs/backdoors/fsba.json`, and copy its weights.safetensors "
                "there (docs/backdoors.md)"
            )
        super().load_model(defended)


class KeypointTracking(CarlaVideoTracking):  # type: ignore[misc]
    """Tracking of people whose keypoints are looked at: also measures ``relative_pck``, of attacked against benign."""

    def load_metrics(self) -> None:
        """Connect the one meter that needs benign and adversarial predictions together."""
        super().load_metrics()
        if not (self.skip_benign or self.skip_attack):
            probes = ("scenario.y", "scenario.y_pred", "scenario.y_pred_adv")
            get_hub().connect_meter(GlobalMeter("relative_pck", relative_pck, *probes))
