"""The files that a training of DuaLossDef reads: the weights of the frozen tracker, and those that it starts from."""

from __future__ import annotations

from pathlib import Path

from armory_skelevision.io import printable
from armory_skelevision.networks.unet import UNet
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.packaged import packaged_weights
from armory_skelevision.weights.resolve import resolve
from armory_skelevision.weights.unet import read_unet


def load_start(network: UNet, path: str) -> None:
    """Fill a U-Net with weights to start from; those of a gate are left out for a network without one.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If its weights are damaged, or of another width.
    """
    found = resolve(path)
    start = read_unet(found)
    if start.width != network.width:
        raise InvalidValueError("init", f"weights of width {network.width}", f"{start.width} in {printable(found)}")
    if network.gated and not start.gated:
        raise InvalidValueError("init", "weights with a gate", f"none in {printable(found)}", "set gated to false")
    network.load_state_dict(
        {name: values for name, values in start.state_dict().items() if name in network.state_dict()}
    )


def find_tracker(settings: DuaLossDefSettings) -> Path:
    """The weights file of the tracker, by its path, or by the name of a packaged file.

    Raises:
        MissingFileError: If there is neither.
    """
    path = Path(settings.tracker)
    return path if path.is_file() else packaged_weights(settings.tracker)
