"""Metadata of weights files, stored as strings in the safetensors header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from armory_skelevision.io import parse_json
from armory_skelevision.networks.keypoint_head import HeadKind
from armory_skelevision.validation import Settings, Weight
from armory_skelevision.weights.architectures import ARCHITECTURES, SIAMRPN

UNET = "unet"

START = "; from weights of: "
"""Separates, in the description of a training, the training itself from that of the weights it started from."""


@dataclass(frozen=True)
class Header(Settings):
    """Base of metadata that is stored as strings. Values that the annotations do not accept are refused."""

    def to_header(self) -> dict[str, str]:
        """The strings for the safetensors header, one per attribute."""
        return {name: _format(value) for name, value in asdict(self).items()}

    @classmethod
    def from_header(cls, header: Mapping[str, str], section: str = "") -> Self:
        """The inverse of `to_header`; ``section`` is the file, for error messages.

        Raises:
            InvalidValueError: For unknown, missing or wrong values.
        """
        return cls.from_dict({name: _parse(name, text) for name, text in header.items()}, section)


@dataclass(frozen=True)
class Metadata(Header):
    """Origin of a tracker's weights, and the network that they fit.

    Attributes:
        keypoint_head: "shallow", "deep", "regression", or None for a single-task tracker.
        lambda_k: Weight of the keypoint loss in training; 0 for a single-task tracker.
        training: One paragraph: data, length, optimiser.
        licence: Terms under which the weights may be used.
        seed: Seed of the training; -1 if unknown.
        architecture: One of `ARCHITECTURES`.
        colour_order: Colour order of the network's input; always "BGR".
        input_range: Range of the network's input; always "0..255".
        backdoor: Whether the weights were poisoned on purpose.
        tracking: The tracker's constants that these weights were tuned with, where they differ from those of the
            architecture.
    """

    keypoint_head: HeadKind | None
    lambda_k: Weight
    training: str
    licence: str
    seed: int
    architecture: str = SIAMRPN
    colour_order: Literal["BGR"] = "BGR"
    input_range: Literal["0..255"] = "0..255"
    backdoor: bool = False
    tracking: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse constants that a tracker would refuse (`InvalidValueError`)."""
        settings = ARCHITECTURES.get(self.architecture, ARCHITECTURES[SIAMRPN]).settings
        settings.from_dict(self.tracking, "tracking")


@dataclass(frozen=True)
class UNetMetadata(Header):
    """Origin of the weights of DuaLossDef's U-Net; see `networks.unet`.

    Attributes:
        width: "small", "base" or "large".
        settings: Settings of the training, as JSON.
        training: One paragraph: data, length, optimiser.
        validation: Results of the best validation.
        tracker: Name of the weights file of the tracker that the U-Net was trained with.
        tracker_sha256: SHA-256 of that file.
        licence: Terms under which the weights may be used.
        seed: Seed of the training.
        architecture: "unet".
    """

    width: Literal["small", "base", "large"]
    settings: str
    training: str
    validation: str
    tracker: str
    tracker_sha256: str
    licence: str
    seed: int
    architecture: Literal["unet"] = "unet"


def _format(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    return value if isinstance(value, str) else str(value).lower()


def _parse(name: str, text: str) -> Any:
    """The value that a string of the header stands for; the string itself where it cannot be read as such."""
    if name == "keypoint_head":
        return None if text == "none" else text
    if name not in ("lambda_k", "seed", "backdoor", "tracking"):
        return text
    try:
        return parse_json(text)
    except ValueError:
        return text
