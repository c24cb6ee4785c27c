"""Means with 95 % intervals: over seeds, and of differences over videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from armory_skelevision.validation import InvalidValueError

LEVEL = 0.95
"""Confidence of all intervals."""


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    half_width: float | None
    """Half the width of the interval (Student's t); None for a single value, which has no spread."""
    n: int
    """Number of values."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end of the interval."""
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of values and its 95 % t-interval: mean ± t(0.975, n - 1) · s / √n, with s the sample's deviation.

    Raises:
        InvalidValueError: If there are no values.
    """
    count = len(values)
    if count == 0:
        raise InvalidValueError("values", "at least one", "none")
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, 1)
    from scipy.special import stdtrit

    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Estimate(mean, float(stdtrit(count - 1, (1 + LEVEL) / 2)) * spread / math.sqrt(count), count)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of ``second`` - ``first``, value by value, with its t-interval.

    Raises:
        InvalidValueError: If they differ in length, or are empty.
    """
    if len(first) != len(second):
        raise InvalidValueError("values", "as many in both lists", f"{len(first)} and {len(second)}")
    return estimate([b - a for a, b in zip(first, second, strict=True)])
