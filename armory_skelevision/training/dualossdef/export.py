"""The weights file of a finished training, which `defenses.DuaLossDef` reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from armory_skelevision.io import hash_file
from armory_skelevision.networks.unet import UNet
from armory_skelevision.training.data.loading import describe_pairs
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.weights.metadata import UNetMetadata
from armory_skelevision.weights.unet import save_unet


def export_unet(network: UNet, settings: DuaLossDefSettings, validation: dict[str, float], tracker: Path) -> Path:
    """Write ``weights.safetensors`` into the run's folder.

    Args:
        network: The trained U-Net; it is not changed.
        settings: The run's settings.
        validation: Values of the best validation by name.
        tracker: Weights file of the tracker that the U-Net was trained with.

    Returns:
        Path of the file.

    Raises:
        OSError: If it cannot be written.
        InvalidValueError: If weights are NaN or infinite.
    """
    metadata = UNetMetadata(
        width=settings.width,
        settings=json.dumps(asdict(settings), sort_keys=True),
        training=(
            f"DuaLossDef, {settings.inner_attack} against {settings.branches}: {settings.steps} steps of "
            f"{settings.batch_size} {describe_pairs(settings.store)}, AdamW, learning rate {settings.learning_rate}, "
            f"{settings.precision}"
        ),
        validation=", ".join(f"{name} {value:.3f}" for name, value in validation.items()),
        tracker=tracker.name,
        tracker_sha256=hash_file(tracker),
        licence=settings.licence,
        seed=settings.seed,
    )
    path = Path(settings.folder) / "weights.safetensors"
    save_unet(network, path, metadata)
    return path
