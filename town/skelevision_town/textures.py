"""Tileable textures, made of filtered noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from skelevision_town.shapes import Array


def cloud_noise(size: int, rng: np.random.Generator, slope: float = 1.3, lowest: int = 1) -> Array:
    """Tileable fractal noise (size, size): mean 0, deviation 1, amplitude falling as frequency**-slope.

    Args:
        size: Pixels of a side.
        rng: Source of the phases.
        slope: 0 is white, 1 to 2 looks like plaster to clouds.
        lowest: Waves per tile under which nothing is left.
    """
    across = np.fft.fftfreq(size, 1.0 / size)
    frequency = np.hypot(across[:, None], across[None, :])
    weight = np.where(frequency < lowest, 0.0, np.maximum(frequency, 1.0) ** -slope)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) * weight).real
    return np.asarray(field / field.std())


def grain(size: int, rng: np.random.Generator) -> Array:
    """Brightness factors around 1 (size, size, 3): fine grit over soft blotches."""
    value = 1.0 + 0.10 * cloud_noise(size, rng, 0.35, 8) + 0.10 * cloud_noise(size, rng, 1.4, 2)
    return np.clip(np.repeat(value[..., None], 3, axis=2), 0.3, 1.9)


def turf(size: int, rng: np.random.Generator) -> Array:
    """Brightness factors around 1 (size, size, 3) of a lawn: tufts, dry patches of yellow."""
    tufts = 1.0 + 0.26 * cloud_noise(size, rng, 0.6, 12) + 0.10 * cloud_noise(size, rng, 1.2, 2)
    dry = 1.0 + 0.16 * cloud_noise(size, rng, 1.5, 2)
    return np.clip(np.stack([tufts * dry, tufts, 0.8 * tufts], axis=2), 0.2, 2.2)


def stains(size: int, rng: np.random.Generator) -> Array:
    """Large soft brightness factors around 1 (size, size, 3), for what weather and feet leave."""
    value = 1.0 + 0.11 * cloud_noise(size, rng, 1.6, 1)
    tint = np.stack([value, value * (1 + 0.012 * cloud_noise(size, rng, 1.8)), value], axis=2)
    return np.clip(tint, 0.5, 1.4)


def masonry(
    colour: Array, joint: Array, grid: tuple[int, int], gap: tuple[float, float], spread: float,
    rng: np.random.Generator, size: int = 512, shift: float = 0.5,
) -> Array:  # fmt: skip
    """Bricks, slabs or panels as linear colours (size, size, 3).

    Args:
        colour, joint: Linear RGB of the stones and of what is between them.
        grid: Stones per tile across and up (an even number, so that shifted rows meet).
        gap: Width of the joints as a share of a stone, across and up.
        spread: Relative deviation of brightness from stone to stone.
        rng: Source of the differences.
        size: Pixels of a side.
        shift: By how much of a stone every second row is moved.
    """
    v, u = np.meshgrid(np.arange(size) / size * grid[1], np.arange(size) / size * grid[0], indexing="ij")
    row = v.astype(int)
    u = u + shift * (row % 2)
    column = u.astype(int) % grid[0]
    tone = 1.0 + spread * rng.normal(size=(grid[1], grid[0], 1))
    tone = tone + 0.25 * spread * rng.normal(size=(grid[1], grid[0], 3))
    stones = colour * tone[row, column] * grain(size, rng)
    edge = (u % 1.0 < gap[0]) | (v % 1.0 < gap[1])
    return np.clip(np.where(edge[..., None], joint * grain(size, rng), stones), 0.0, 1.0)


def sky_dome(
    horizon: Array, zenith: Array, cloud: float, white: float, rng: np.random.Generator, size: int = 512
) -> Array:
    """An equirectangular sky (size / 2, size, 3), linear; rows run from straight down to straight up.

    Args:
        horizon, zenith: Linear RGB of the clear sky.
        cloud: 0 clear to 1 closed.
        white: Brightness of the clouds.
        rng: Source of the clouds.
        size: Pixels across.
    """
    rise = (np.arange(size // 2) + 0.5) / (size // 2) * np.pi - np.pi / 2
    turn = (np.arange(size) + 0.5) / size * 2 * np.pi
    up = np.clip(np.sin(rise), 0.0, 1.0)[:, None, None]
    clear = horizon + (zenith - horizon) * np.clip(up / 0.6, 0, 1) ** 0.7
    reach = 0.22 / (np.sin(np.maximum(rise, 0.0)) + 0.12)
    x, y = reach[:, None] * np.cos(turn), reach[:, None] * np.sin(turn)
    field = cloud_noise(512, rng, 1.55, 2)
    thick = field[(x * 512).astype(int) % 512, (y * 512).astype(int) % 512]
    cover = np.clip((thick - (1.6 - 3.4 * cloud)) / 0.9, 0.0, 1.0)[..., None]
    shade = white * (0.82 + 0.12 * np.clip(thick, -1.5, 1.5))[..., None] * np.array([0.97, 0.985, 1.0])
    sky = clear * (1 - cover) + shade * cover
    return np.asarray(np.where(rise[:, None, None] < 0, 0.22 * sky.mean(), sky))


def to_image(name: str, pixels: Array) -> Any:
    """A Blender image that holds ``pixels`` (H, W, 3) as linear light; row 0 is the lowest."""
    import bpy

    height, width, _ = pixels.shape
    image = bpy.data.images.new(name, width, height, alpha=False, float_buffer=True)
    image.colorspace_settings.name = "Non-Color"
    flat = np.concatenate([pixels, np.ones((height, width, 1))], axis=2).astype(np.float32)
    image.pixels.foreach_set(flat.ravel())
    return image
