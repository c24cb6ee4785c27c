"""ARMORY's metadata of the screen in a video, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision.validation import InvalidValueError


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
        """Height and width of a patch in pixels: the largest size of the screen in a video (as in ARMORY's attack)."""
        width, height = np.ceil(np.ptp(self.corners_xy, axis=1).max(axis=0)).astype(int)
        return max(int(height), 1), max(int(width), 1)


def read_metadata(metadata: Mapping[str, Any], video_shape: tuple[int, ...], name: str) -> PatchMetadata:
    """Check one video's patch metadata.

    Args:
        metadata: ``gs_coords`` ((4, 2) or (F, 4, 2) corners in pixels), ``masks`` ((F, H, W[, 3]), non-zero where the
            screen is visible) and optionally ``shading`` (False shows the patch unshaded).
        video_shape: Shape (F, H, W, 3) of the video.
        name: Of the metadata, for errors.

    Raises:
        InvalidValueError: For a missing key, or a shape that does not fit the video.
    """
    frames, height, width = video_shape[:3]
    for key in ("gs_coords", "masks"):
        if key not in metadata:
            raise InvalidValueError(f"{name}.{key}", "a value", "none", f"there are {', '.join(sorted(metadata))}")
    corners_xy = np.asarray(metadata["gs_coords"], dtype=np.float64)
    if corners_xy.shape == (4, 2):
        corners_xy = corners_xy[None].repeat(frames, axis=0)
    if corners_xy.shape != (frames, 4, 2):
        raise InvalidValueError(f"{name}.gs_coords", f"shape (4, 2) or ({frames}, 4, 2)", f"shape {corners_xy.shape}")
    if not np.isfinite(corners_xy).all():
        raise InvalidValueError(f"{name}.gs_coords", "finite corners", "NaN or infinity")
    masks = np.asarray(metadata["masks"])
    if masks.shape == (frames, height, width, 3):
        masks = masks[..., 0]
    if masks.shape != (frames, height, width):
        raise InvalidValueError(f"{name}.masks", f"shape ({frames}, {height}, {width}[, 3])", f"shape {masks.shape}")
    return PatchMetadata(corners_xy, masks != 0, bool(np.all(metadata.get("shading", True))))
