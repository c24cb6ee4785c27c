"""Affine maps between images, as (2, 3) matrices.

Convention: positions are in pixel edges (the left edge of the first pixel is 0), x right, y down. OpenCV counts from
pixel centres instead; `shift_to_centres` converts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]


def move_points(matrix: Affine, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply an affine map to points (..., 2)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def shift_to_centres(matrix: Affine) -> Affine:
    """The same map in coordinates that count from the centre of the first pixel, as OpenCV's do."""
    half = np.array([0.5, 0.5])
    return np.concatenate([matrix[:, :2], (matrix[:, :2] @ half + matrix[:, 2] - half)[:, None]], axis=1)
