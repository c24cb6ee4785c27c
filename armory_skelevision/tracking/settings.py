"""The constants of SiamRPN's recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class TrackerSettings:
    """Constants of the tracking recurrence; defaults as in PySOT's ``siamrpn_alex_dwxcorr``.

    Attributes:
        penalty_k: How hard a change of size or aspect ratio is punished.
        window_influence: Weight of the cosine window against the score, in [0, 1].
        learning_rate: Weight of the newly found size against the previous one, at full confidence.
        context: Share of (width + height) that surrounds a box on each side of its crop.
        exemplar_size: Side of the template crop in pixels.
        instance_size: Side of the search crop in pixels.
        min_size: Smallest width and height of a box in pixels.
    """

    penalty_k: float = 0.16
    window_influence: float = 0.40
    learning_rate: float = 0.30
    context: float = 0.5
    exemplar_size: int = 127
    instance_size: int = 287
    min_size: float = 10.0

    @property
    def score_size(self) -> int:
        """Side of the response map for the search crop (stride 8, no padding)."""
        return (self.instance_size - self.exemplar_size) // 8 + 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrackerSettings:
        """Settings from a config's mapping.

        Raises:
            ValueError: For a key that is not a setting; the message lists those that are.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown tracking settings {unknown}; known are {known}")
        return cls(**values)
