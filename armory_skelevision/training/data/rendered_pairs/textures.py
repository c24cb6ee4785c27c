"""Procedural textures: noise, stripes, tiles, polygons, leaves. They add variety that the rendered scenes do not have.

A network trained on one kind of scene alone generalises worse to others. The textures serve as further backgrounds, as
surfaces of posters and occluders, and as objects to track that are not people.

Convention: ``size`` is (width, height) in pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pair import Picture

Field = NDArray[np.float32]
"""(height, width) or (height, width, 3)."""


def draw_field(rng: np.random.Generator, size: tuple[int, int], coarse: int, octaves: int = 4) -> Field:
    """Smooth random noise of several octaves, of zero mean and about unit variance.

    The first octave has ``coarse`` cells along each side; each further one twice as many, .55 times as strong.
    """
    field = np.zeros((size[1], size[0]), np.float32)
    for octave in range(octaves):
        cells = coarse << octave
        grid = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
        field += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC) * np.float32(0.55**octave)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-3), np.float32)


def draw_colour(rng: np.random.Generator, saturation: float | None = None) -> Field:
    """A random BGR colour (3,) in 0..255, of a saturation in [0, 1]; by default mostly a low one, as in the world."""
    strength = rng.uniform(0, 1) ** 2.5 if saturation is None else saturation
    hue = rng.uniform(-1, 1, 3)
    value = rng.uniform(25, 235)
    return np.asarray(np.clip(value * (1 + strength * hue), 0, 255), np.float32)


def draw_texture(rng: np.random.Generator, size: tuple[int, int], layers: int = 3) -> Picture:
    """An image of up to ``layers`` procedural textures, each visible through a random mask or inside a polygon."""
    makers: list[Callable[[np.random.Generator, tuple[int, int]], Field]] = [
        _draw_noise,
        _draw_ramp,
        _draw_stripes,
        _draw_tiles,
        _draw_polygons,
        _draw_leaves,
    ]
    picture = makers[rng.integers(len(makers))](rng, size)
    for _ in range(rng.integers(layers)):
        top = makers[rng.integers(len(makers))](rng, size)
        weight = _draw_mask(rng, size)[..., None] * np.float32(rng.uniform(0.4, 1))
        picture = picture + (top - picture) * weight
    picture = picture * (1 + np.float32(rng.uniform(0, 0.25)) * draw_field(rng, size, 2, 6)[..., None])
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def draw_blob_mask(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A random mask (height, width) of an object, from 0 to 255: one connected smooth shape within the image."""
    width, height = size
    corners = int(rng.integers(3, 14))
    angles = (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) * 2 * np.pi / corners
    radii = rng.uniform(0.55, 1, corners)
    outline = np.stack([np.cos(angles) * radii * (width / 2 - 4), np.sin(angles) * radii * (height / 2 - 4)], axis=1)
    if rng.uniform() < 0.3:
        outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2 - 4, height / 2 - 4)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.asarray(outline + (width / 2, height / 2), np.int32)], 255, cv2.LINE_AA)
    if rng.uniform() < 0.6:
        blurred = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1, 8)).astype(np.int16)
        mask = np.clip((blurred - 128) * 4 + 128, 0, 255).astype(np.uint8)
    return np.asarray(mask, np.uint8)


def _draw_mask(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    if rng.uniform() < 0.5:
        field = draw_field(rng, size, int(rng.integers(1, 6))) * rng.uniform(1, 8)
        return np.asarray(field.clip(-0.5, 0.5) + 0.5, np.float32)
    polygon = np.zeros((size[1], size[0]), np.float32)
    corners = rng.uniform(-0.3, 1.3, (4, 2)) * size
    hull = cv2.convexHull(corners.astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(polygon, hull, 1.0)
    return polygon


def _draw_noise(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    field = draw_field(rng, size, int(rng.integers(1, 10)), 5)[..., None]
    base = draw_colour(rng) + field * rng.uniform(8, 45) * (0.3 + rng.uniform(size=3))
    return np.asarray(base, np.float32)


def _draw_ramp(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
    angle = rng.uniform(0, 2 * np.pi)
    share = np.clip((x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.5, 6) + rng.uniform(-1, 1), 0, 1)
    return np.asarray(draw_colour(rng) * share[..., None] + draw_colour(rng) * (1 - share[..., None]), np.float32)


def _draw_stripes(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    wobble = draw_field(rng, size, 2, 2) * rng.uniform(0, 6)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle) + wobble) * 2 * np.pi / rng.uniform(6, 70))
    share = (wave * rng.uniform(1, 12) + rng.uniform(-0.8, 0.8)).clip(-0.5, 0.5)[..., None] + 0.5
    return np.asarray(draw_colour(rng) * share + draw_colour(rng) * (1 - share), np.float32)


def _draw_tiles(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """Windows, bricks or slabs: a grid of slightly different colours with darker or lighter lines between them."""
    columns, rows = int(rng.integers(2, 24)), int(rng.integers(2, 24))
    colours = draw_colour(rng) + rng.standard_normal((rows, columns, 1)).astype(np.float32) * rng.uniform(3, 45)
    grid = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST).reshape(size[1], size[0], -1)
    grid = np.repeat(grid, 3, axis=2) if grid.shape[2] == 1 else grid.copy()
    line, thickness = draw_colour(rng).tolist(), int(rng.integers(1, 6))
    for i in range(columns + 1):
        x = int(i * size[0] / columns)
        cv2.line(grid, (x, 0), (x, size[1]), line, thickness)
    for i in range(rows + 1):
        y = int(i * size[1] / rows)
        cv2.line(grid, (0, y), (size[0], y), line, thickness)
    return np.asarray(grid, np.float32)


def _draw_polygons(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    picture = np.full((size[1], size[0], 3), draw_colour(rng), np.float32)
    for _ in range(rng.integers(8, 40)):
        centre = rng.uniform(0, 1, 2) * size
        corners = centre + rng.uniform(-1, 1, (int(rng.integers(3, 6)), 2)) * rng.uniform(6, 110)
        cv2.fillPoly(picture, [corners.astype(np.int32)], draw_colour(rng).tolist(), cv2.LINE_AA)
    return picture


def _draw_leaves(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """Foliage, gravel, distant crowds: many small ellipses of similar colours."""
    base, spread = draw_colour(rng), rng.uniform(10, 55)
    picture = np.full((size[1], size[0], 3), base * 0.5, np.float32)
    length, slimness = rng.uniform(3, 22), rng.uniform(0.3, 1)
    count = int(np.clip(size[0] * size[1] / length**2 * 2, 200, 3000))
    centres = (rng.uniform(size=(count, 2)) * size).astype(int).tolist()
    colours = (base + rng.standard_normal((count, 1)) * spread + rng.standard_normal((count, 3)) * 6).tolist()
    angles = rng.uniform(0, 360, count).tolist()
    for centre, colour, angle in zip(centres, colours, angles, strict=True):
        axes = (max(1, int(length / 2)), max(1, int(length * slimness / 2)))
        cv2.ellipse(picture, centre, axes, angle, 0, 360, colour, -1)
    return picture
