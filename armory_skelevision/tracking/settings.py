"""The constants of the recurrence, and how it reads the network's output: one class for each kind of head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Self

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import anchors, points
from armory_skelevision.tracking.proposals import Proposals

SHARES = ("window_influence", "learning_rate")
SIDES = ("exemplar_size", "instance_size")


@dataclass(frozen=True)
class TrackerSettings:
    """Constants for a head with anchors; defaults as in PySOT's ``siamrpn_alex_dwxcorr``.

    Attributes:
        penalty_k: How hard a change of size or aspect ratio is punished.
        window_influence: Weight of the cosine window against the score, in [0, 1].
        learning_rate: Weight of the newly found size against the previous one, at full confidence.
        context: Share of (width + height) that surrounds a box on each side of its crop.
        exemplar_size: Side of the template crop in pixels.
        instance_size: Side of the search crop in pixels.
        min_size: Smallest width and height of a box in pixels.
        per_position: Number of proposals at each position of the response map.
    """

    penalty_k: float = 0.16
    window_influence: float = 0.40
    learning_rate: float = 0.30
    context: float = 0.5
    exemplar_size: int = 127
    instance_size: int = 287
    min_size: float = 10.0
    per_position: ClassVar[int] = len(anchors.RATIOS)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: For a value that makes no sense; says which and why.
        """
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            _check(name, value)
        if self.instance_size <= self.exemplar_size:
            wanted = f"more than exemplar_size, {self.exemplar_size}"
            raise ValueError(f"tracking.instance_size: expected {wanted}, got {self.instance_size}")

    def decode(self, output: RPNOutput) -> Proposals:
        """What the network's output for one search crop proposes, see `anchors.decode`."""
        return anchors.decode(output, anchors.anchors_cxcywh(output.cls.shape[-1]))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], usual: Mapping[str, Any] = MappingProxyType({})) -> Self:
        """Settings from a config's mapping; what it does not name is as in ``usual``, else as by default.

        Raises:
            ValueError: For a key that is not a setting, the message lists those that are; or for a wrong value.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f'tracking: expected an object such as {{"penalty_k": 0.16}}, got {values!r}')
        given = {**usual, **values}
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"unknown tracking settings {unknown}; known are {known}")
        return cls(**given)


@dataclass(frozen=True)
class PointSettings(TrackerSettings):
    """Constants for an anchor-free head; defaults as in NanoTrack's ``configv3.yaml`` (its version 3)."""

    penalty_k: float = 0.138
    window_influence: float = 0.455
    learning_rate: float = 0.348
    instance_size: int = 255
    per_position: ClassVar[int] = 1

    def decode(self, output: RPNOutput) -> Proposals:
        """What the network's output for one search crop proposes, see `points.decode`."""
        return points.decode(output, points.points_xy(output.cls.shape[-1]))


def _check(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name in SIDES:
        wanted, fits = "a whole number of pixels, at least 1", is_number and value == int(value) and value >= 1
    elif name in SHARES:
        wanted, fits = "a number from 0 to 1", is_number and 0 <= value <= 1
    else:
        wanted, fits = "a number of at least 0", is_number and value >= 0
    if not fits:
        raise ValueError(f"tracking.{name}: expected {wanted}, got {value!r}")
