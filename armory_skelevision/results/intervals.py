"""Means with 95 % intervals: over seeds, and of differences over videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean and how sure it is.

    Attributes:
        mean: Of the values.
        half_width: The mean lies within ± this with 95 % confidence (Student's t); None from a single value, which
            says nothing of the spread.
        n: How many values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half_width is None else self.mean + self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of values and its 95 % t-interval: mean ± t(0.975, n - 1) · s / √n, with s the sample's deviation.

    Raises:
        ValueError: If there are no values.
    """
    count = len(values)
    if count == 0:
        raise ValueError("expected at least one value")
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, 1)
    from scipy.special import stdtrit

    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Estimate(mean, float(stdtrit(count - 1, (1 + LEVEL) / 2)) * spread / math.sqrt(count), count)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of ``second`` - ``first``, value by value, with its t-interval.

    Raises:
        ValueError: If they are not of one length, or empty.
    """
    if len(first) != len(second):
        raise ValueError(f"expected as many values on both sides, got {len(first)} and {len(second)}")
    return estimate([b - a for a, b in zip(first, second, strict=True)])
