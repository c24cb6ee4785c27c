"""The ``wrapper_kwargs`` that all trackers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from armory_skelevision.validation import Settings

DeviceType = Literal["gpu", "cpu"]


@dataclass(frozen=True)
class WrapperSettings(Settings):
    """``wrapper_kwargs`` of a tracker.

    Attributes:
        device_type: "gpu" (used where there is one) or "cpu".
        tracking: Constants of the tracker. They take precedence over those recorded in the weights file, which take
            precedence over the defaults.
    """

    device_type: DeviceType = "gpu"
    tracking: Mapping[str, Any] = field(default_factory=dict)
