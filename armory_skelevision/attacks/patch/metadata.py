"""What ARMORY tells an attack about the screen in a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class PatchMetadata(NamedTuple):
    """The screen in F frames."""

    corners_xy: np.ndarray
    """Corners (F, 4, 2): top-left, top-right, bottom-right, bottom-left, pixels."""
    masks: np.ndarray
    """Where the screen is visible, (F, H, W) bool."""
    shaded: bool
    """Whether a patch takes on the screen's brightness."""

    @property
    def patch_hw(self) -> tuple[int, int]:
        """Height and width of a patch as large as the screen ever looks (as ARMORY's attack takes it)."""
        width, height = np.ceil(np.ptp(self.corners_xy, axis=1).max(axis=0)).astype(int)
        return max(int(height), 1), max(int(width), 1)


def read_metadata(metadata: Mapping[str, Any], video_shape: tuple[int, ...], name: str) -> PatchMetadata:
    """Check one video's patch metadata against the video (F, H, W, 3).

    Raises:
        ValueError: For a missing key or a shape that does not fit the video, naming what would be right.
    """
    frames, height, width = video_shape[:3]
    for key in ("gs_coords", "masks"):
        if key not in metadata:
            raise ValueError(f"{name}: {key!r} is missing; there are {sorted(metadata)}")
    corners_xy = np.asarray(metadata["gs_coords"], dtype=np.float64)
    if corners_xy.shape == (4, 2):
        corners_xy = corners_xy[None].repeat(frames, axis=0)
    if corners_xy.shape != (frames, 4, 2):
        raise ValueError(f"{name}: gs_coords: expected (4, 2) or ({frames}, 4, 2), got {corners_xy.shape}")
    if not np.isfinite(corners_xy).all():
        raise ValueError(f"{name}: gs_coords: expected finite corners, found NaN or infinity")
    masks = np.asarray(metadata["masks"])
    if masks.shape == (frames, height, width, 3):
        masks = masks[..., 0]
    if masks.shape != (frames, height, width):
        raise ValueError(f"{name}: masks: expected ({frames}, {height}, {width}[, 3]), got {masks.shape}")
    return PatchMetadata(corners_xy, masks != 0, bool(np.all(metadata.get("shading", True))))
