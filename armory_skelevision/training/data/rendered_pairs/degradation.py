"""Degradation of images as by cameras: light and tone, lost resolution, blur, noise, compression.

The parameters are drawn once per pair of crops, and vary a little from crop to crop. The blur of small people by
upsampling is not simulated here: it follows from composing at the resolution of the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pair import Picture


class Degradation(NamedTuple):
    """Parameters of a camera and of the light that both crops of a pair share."""

    tone: NDArray[np.float64]
    """(contrast, brightness, log gamma, three logs of channel gains)."""
    grey: bool
    """Whether the camera records no colour."""
    resolution: float
    """Share of the image's resolution that remains, in (0, 1]."""
    defocus: float
    """Standard deviation of the blur, in canvas pixels."""
    noise: float
    """Standard deviation of the noise, in grey levels."""
    quality: int | None
    """JPEG quality, or None for no compression."""
    sharpening: float
    """Strength of the edge enhancement."""
    shake: float
    """Longest motion blur, as a share of the target's size, the square root of its box's area."""
    light: float
    """Strength of uneven light over the image."""


def draw_degradation(rng: np.random.Generator) -> Degradation:
    """Random parameters, many of them at values that leave the image unchanged."""
    spread = np.array([0.2, 14.0, 0.22, 0.07, 0.07, 0.07]) * rng.choice([0.4, 1.0, 1.4])
    return Degradation(
        tone=rng.standard_normal(6).clip(-1.7, 1.7) * spread,
        grey=bool(rng.uniform() < 0.06),
        resolution=rng.uniform(0.45, 1) if rng.uniform() < 0.3 else 1.0,
        defocus=rng.uniform(0.3, 1.4) if rng.uniform() < 0.4 else 0.0,
        noise=rng.exponential(4.0) if rng.uniform() < 0.6 else 0.0,
        quality=int(rng.integers(18, 92)) if rng.uniform() < 0.5 else None,
        sharpening=rng.uniform(0.2, 1.2) if rng.uniform() < 0.3 else 0.0,
        shake=rng.uniform(0.04, 0.2) if rng.uniform() < 0.3 else 0.0,
        light=rng.uniform(0.1, 0.6) if rng.uniform() < 0.3 else 0.0,
    )


def degrade(picture: Picture, degradation: Degradation, size: float, rng: np.random.Generator) -> Picture:
    """Degrade an image that has the resolution of the frame.

    Args:
        picture: The image.
        degradation: What both crops of the pair share.
        size: Square root of the area of the target's box, in pixels of the image.
        rng: Draws what varies from crop to crop.
    """
    if degradation.light:
        picture = _light_unevenly(picture, degradation.light, rng)
    drift = rng.standard_normal(6) * (0.06, 4.0, 0.07, 0.015, 0.015, 0.015) * rng.choice([0.3, 1.0, 2.0])
    picture = np.asarray(cv2.LUT(picture, _tone_table(degradation.tone + drift, _exposure(picture))), np.uint8)
    if degradation.grey:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    height, width = picture.shape[:2]
    if degradation.resolution < 1:
        small = (max(16, round(width * degradation.resolution)), max(16, round(height * degradation.resolution)))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    if degradation.shake and rng.uniform() < 0.7:
        length = rng.uniform(0.2, 1) * degradation.shake * size * picture.shape[1] / width
        picture = cv2.filter2D(picture, -1, motion_kernel(length, rng.uniform(0, np.pi)))
    defocus = degradation.defocus * rng.uniform(0.7, 1.3)
    if defocus > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), defocus)
    if degradation.noise > 0.5:
        picture = _add_noise(picture, degradation.noise, rng)
    if degradation.sharpening:
        smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
        picture = cv2.addWeighted(picture, 1 + degradation.sharpening, smooth, -degradation.sharpening, 0)
    if degradation.quality is not None:
        quality = int(np.clip(degradation.quality + rng.integers(-6, 7), 10, 95))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    if picture.shape[1] != width:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture, np.uint8)


def _exposure(picture: Picture) -> float:
    """The gain of automatic exposure in very dark or very bright surroundings."""
    brightness = max(float(picture[::4, ::4].mean()), 8.0)
    return float(np.clip(brightness, 70, 170)) / brightness


def _tone_table(tone: NDArray[np.float64], exposure: float) -> Picture:
    level = np.clip(np.arange(256) / 255 * exposure, 0, 1)
    curve = level ** np.exp(tone[2])
    curve = (curve - 0.5) * np.exp(tone[0]) + 0.5 + tone[1] / 255
    table = curve[:, None] * np.exp(tone[3:6])
    return np.asarray(np.clip(table * 255 + 0.5, 0, 255), np.uint8).reshape(256, 1, 3)


def _light_unevenly(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Add patches of shade and light, as under trees, beside houses, or towards the corners of the image."""
    cells = int(rng.integers(2, 5))
    grid = np.exp(rng.standard_normal((cells, cells)) * strength).clip(0.25, 1.6)
    interpolation = cv2.INTER_CUBIC if rng.uniform() < 0.7 else cv2.INTER_LINEAR
    height, width = picture.shape[:2]
    gain = cv2.resize((grid * 128).clip(0, 255).astype(np.uint8), (width, height), interpolation=interpolation)
    return np.asarray(cv2.multiply(picture, cv2.merge([gain] * 3), scale=1 / 128), np.uint8)


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A kernel (side, side) that blurs along a line; its side is odd, its sum 1.

    Args:
        length: Length of the line in pixels.
        angle: Angle of the line from the x axis, in radians.
    """
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = side // 2
    ends = [(round((middle + sign * reach[0]) * 16), round((middle + sign * reach[1]) * 16)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    kernel[middle, middle] = max(kernel[middle, middle], 0.5)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _add_noise(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Add noise, equal in all channels or not. A small tile of noise is repeated, which is fast and not visible."""
    channels = 1 if rng.uniform() < 0.5 else 3
    tile = (rng.standard_normal((96, 96, channels), np.float32) * sigma).astype(np.int16)
    height, width = picture.shape[:2]
    grain = np.tile(tile, (height // 96 + 1, width // 96 + 1, 4 - channels if channels == 1 else 1))[:height, :width]
    return np.asarray(cv2.add(picture, np.ascontiguousarray(grain), dtype=cv2.CV_8U), np.uint8)
