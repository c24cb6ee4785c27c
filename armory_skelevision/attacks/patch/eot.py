"""What may differ when a printed patch is looked at again: expectation over transformation (Athalye et al. 2018).

Each step of an attack sees the patch through fresh draws, so that its effect does not hang on one exact view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from armory_skelevision.models.inputs import check_not_negative, check_whole, refuse_unknown

# A Gaussian is cut off beyond so many standard deviations.
BLUR_REACH = 3


class Draw(NamedTuple):
    """One view of a patch in F frames."""

    brightness: float
    """Factor on the patch's colours."""
    blur: float
    """Standard deviation of a Gaussian, in pixels of the patch; 0 for none."""
    noise: Tensor | None
    """Added to the patch, of its shape."""
    corner_offsets_xy: np.ndarray
    """Added to the screen's corners, (F, 4, 2), pixels of the frame."""
    frames: list[int]
    """The frames that are tracked, in order, frame 0 among them."""


@dataclass(frozen=True)
class Jitter:
    """How far views differ. All 0 (and ``frames`` 1) shows the patch as it is.

    Attributes:
        brightness: Largest change of brightness: factors lie in [1 - brightness, 1 + brightness].
        blur: Largest standard deviation of a Gaussian blur, in pixels of the patch.
        noise: Standard deviation of Gaussian noise on the patch, in units of the colour range.
        corners: Standard deviation of the corners' places, in pixels of the frame, drawn for each frame and corner.
        frames: Share of the frames that each step tracks (the others are left out, as if the camera were slower).
        samples: Draws per step.
    """

    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    corners: float = 0.0
    frames: float = 1.0
    samples: int = 1

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("brightness", "blur", "noise", "corners", "frames"):
            check_not_negative(f"eot: {name}", getattr(self, name))
        check_whole("eot: samples", self.samples)
        if not self.brightness < 1:
            raise ValueError(f"eot: brightness: expected below 1, got {self.brightness!r}")
        if not 0 < self.frames <= 1:
            raise ValueError(f"eot: frames: expected a share in (0, 1], got {self.frames!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Jitter:
        """Jitter from a config's mapping.

        Raises:
            ValueError: For a key that is unknown (the message lists the known ones) or a value out of range.
        """
        refuse_unknown("eot", values, [field.name for field in fields(cls)])
        return cls(**values)

    def draw(self, rng: np.random.Generator, patch_hw: tuple[int, int], frames: int) -> Draw:
        """One view of a patch (h, w, 3) in a video of so many frames."""
        brightness = 1 + self.brightness * rng.uniform(-1, 1)
        blur = self.blur * rng.uniform()
        noise = torch.from_numpy(rng.standard_normal((*patch_hw, 3), dtype=np.float32)) * self.noise
        offsets = self.corners * rng.standard_normal((frames, 4, 2))
        # Two frames at least: one to start in and one to be tracked.
        wanted = min(max(round(self.frames * frames), 2), frames)
        chosen = 1 + rng.choice(frames - 1, wanted - 1, replace=False)
        return Draw(brightness, blur, noise if self.noise else None, offsets, [0, *sorted(chosen.tolist())])


def look_at(patch: Tensor, draw: Draw) -> Tensor:
    """The patch (h, w, 3) as one view shows it, differentiable, in [0, 1]."""
    if draw.blur > 0:
        size = 2 * max(1, round(BLUR_REACH * draw.blur)) + 1
        channels_first = patch.permute(2, 0, 1)[None]
        blurred = gaussian_blur2d(channels_first, (size, size), (draw.blur, draw.blur), border_type="replicate")
        patch = blurred[0].permute(1, 2, 0)
    patch = patch * draw.brightness
    if draw.noise is not None:
        patch = patch + draw.noise.to(patch)
    return patch.clamp(0, 1)
