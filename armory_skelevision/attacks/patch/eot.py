"""Expectation over transformation (Athalye et al. 2018): what may differ when a printed patch is seen again.

Each step of an attack sees the patch through fresh random transformations, so that its effect does not depend on one
exact view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from armory_skelevision.validation import Range, Repeats, Settings

# A Gaussian is cut off beyond this number of standard deviations.
BLUR_REACH = 3


class EOTSample(NamedTuple):
    """One transformation of a patch in F frames."""

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
class EOT(Settings):
    """Distribution of transformations. All 0 (and ``frames`` 1) leaves the patch unchanged.

    Attributes:
        brightness: Largest change of brightness: factors lie in [1 - brightness, 1 + brightness].
        blur: Largest standard deviation of a Gaussian blur, in pixels of the patch.
        noise: Standard deviation of Gaussian noise on the patch, in units of the colour range.
        corners: Standard deviation of the corners' positions, in pixels, drawn for each frame and corner.
        frames: Share of the frames that each step tracks; the others are skipped, as by a slower camera.
        samples: Number of transformations per step.
    """

    brightness: Annotated[float, Range(0, 1, without_high=True)] = 0.0
    blur: Annotated[float, Range(0, 100)] = 0.0
    noise: Annotated[float, Range(0, 10)] = 0.0
    corners: Annotated[float, Range(0, 1000)] = 0.0
    frames: Annotated[float, Range(0, 1, without_low=True)] = 1.0
    samples: Repeats = 1

    @property
    def is_random(self) -> bool:
        """Whether anything differs from sample to sample."""
        return any((self.brightness, self.blur, self.noise, self.corners)) or self.frames < 1

    def sample(self, rng: np.random.Generator, patch_hw: tuple[int, int], frames: int) -> EOTSample:
        """Draw one transformation of a patch (h, w, 3) in a video of ``frames`` frames."""
        brightness = 1 + self.brightness * rng.uniform(-1, 1)
        blur = self.blur * rng.uniform()
        noise = torch.from_numpy(rng.standard_normal((*patch_hw, 3), dtype=np.float32)) * self.noise
        offsets = self.corners * rng.standard_normal((frames, 4, 2))
        # Two frames at least: one to start in and one to be tracked.
        count = min(max(round(self.frames * frames), 2), frames)
        chosen = 1 + rng.choice(frames - 1, count - 1, replace=False)
        return EOTSample(brightness, blur, noise if self.noise else None, offsets, [0, *sorted(chosen.tolist())])


def transform_patch(patch: Tensor, sample: EOTSample) -> Tensor:
    """Apply blur, brightness and noise to a patch (h, w, 3), RGB in [0, 1]; differentiable, same shape and range."""
    if sample.blur > 0:
        size = 2 * max(1, round(BLUR_REACH * sample.blur)) + 1
        channels_first = patch.permute(2, 0, 1)[None]
        blurred = gaussian_blur2d(channels_first, (size, size), (sample.blur, sample.blur), border_type="replicate")
        patch = blurred[0].permute(1, 2, 0)
    patch = patch * sample.brightness
    if sample.noise is not None:
        patch = patch + sample.noise.to(patch)
    return patch.clamp(0, 1)
