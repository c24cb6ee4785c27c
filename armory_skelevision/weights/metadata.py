"""What a weights file says of itself, as strings in its safetensors header."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self

from armory_skelevision.networks.keypoint_head import Depth

ARCHITECTURE = "siamrpn_alex"
UNET = "unet"

START = "; from weights of: "
"""Stands, in the description of a training, before the training of the weights that it started from."""


@dataclass(frozen=True)
class Header:
    """What a dataclass of metadata is as strings, and back."""

    def to_header(self) -> dict[str, str]:
        """The strings for the safetensors header, one per attribute."""
        return {name: _format(value) for name, value in asdict(self).items()}

    @classmethod
    def from_header(cls, header: Mapping[str, str]) -> Self:
        """The inverse of `to_header`.

        Raises:
            ValueError: For unknown, missing or unreadable keys; the message names them and those that are known.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(header) - set(known))
        if unknown:
            raise ValueError(f"unknown metadata {unknown}; known are {known}")
        needed = [field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING]
        missing = [name for name in needed if name not in header]
        if missing:
            raise ValueError(f"missing metadata {missing}; needed beside {sorted(header)}")
        return cls(**{name: _parse(name, text) for name, text in header.items()})


@dataclass(frozen=True)
class Metadata(Header):
    """Where weights come from and which network they fit.

    Attributes:
        keypoint_head: "shallow", "deep", or None for a single-task tracker.
        lambda_k: Weight of the keypoint loss in training; 0 for a single-task tracker.
        training: One paragraph: data, length, optimiser.
        licence: Terms under which the weights may be used.
        seed: Seed of the training.
        architecture: "siamrpn_alex" for trackers.
        colour_order: Of the network's input; always "BGR".
        input_range: Of the network's input; always "0..255".
        backdoor: Whether the weights were poisoned on purpose.
        tracking: Constants of the tracker that these weights are meant for, where they are not the usual ones; see
            `tracking.TrackerSettings`.

    Raises:
        ValueError: For a value outside these.
    """

    keypoint_head: Depth | None
    lambda_k: float
    training: str
    licence: str
    seed: int
    architecture: str = ARCHITECTURE
    colour_order: str = "BGR"
    input_range: str = "0..255"
    backdoor: bool = False
    tracking: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values."""
        if self.keypoint_head not in (None, "shallow", "deep"):
            raise ValueError(f"keypoint_head: expected 'shallow', 'deep' or None, got {self.keypoint_head!r}")
        if not (math.isfinite(self.lambda_k) and self.lambda_k >= 0):
            raise ValueError(f"lambda_k: expected a number of at least 0, got {self.lambda_k!r}")
        if (self.colour_order, self.input_range) != ("BGR", "0..255"):
            raise ValueError(
                "colour_order and input_range: the trackers feed their networks BGR in 0..255, "
                f"these weights want {self.colour_order} in {self.input_range}"
            )


@dataclass(frozen=True)
class UNetMetadata(Header):
    """Where the weights of a U-Net in front of a tracker come from; see `networks.unet`.

    Attributes:
        width: "small", "base" or "large".
        settings: Of the training, as JSON.
        training: One paragraph: data, length, optimiser.
        validation: What came out.
        tracker: The weights file of the tracker in training.
        tracker_sha256: Its hash.
        licence: Terms under which the weights may be used.
        seed: Seed of the training.
        architecture: "unet".

    Raises:
        ValueError: For another width or architecture.
    """

    width: str
    settings: str
    training: str
    validation: str
    tracker: str
    tracker_sha256: str
    licence: str
    seed: int
    architecture: str = UNET

    def __post_init__(self) -> None:
        """Check the values."""
        if self.width not in ("small", "base", "large"):
            raise ValueError(f"width: expected 'small', 'base' or 'large', got {self.width!r}")
        if self.architecture != UNET:
            raise ValueError(f"architecture: expected {UNET!r}, got {self.architecture!r}")


def _format(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    return value if isinstance(value, str) else str(value).lower()


def _parse_constants(text: str) -> dict[str, float]:
    constants = json.loads(text)
    if not isinstance(constants, dict) or not all(isinstance(value, int | float) for value in constants.values()):
        raise ValueError
    return constants


_PARSERS: dict[str, Callable[[str], Any]] = {
    "keypoint_head": lambda text: None if text == "none" else text,
    "lambda_k": float,
    "seed": int,
    "backdoor": {"true": True, "false": False}.__getitem__,
    "tracking": _parse_constants,
}


def _parse(name: str, text: str) -> Any:
    try:
        return _PARSERS.get(name, str)(text)
    except (KeyError, ValueError):
        raise ValueError(f"metadata {name}: cannot read {text!r}") from None
