"""House fronts: walls with windows, doors, shopfronts, balconies and cornices, all from one generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from skelevision_town import materials
from skelevision_town.shapes import MeshBuilder

_WALLS = {
    "brick": ("#8a4b3a", "#9c5f45", "#6f3d33", "#b08560", "#7d5548", "#a9a095"),
    "plaster": ("#d8c7a3", "#c9b7a0", "#e2dccb", "#c88f6a", "#b9c2bb", "#d9b98c", "#a9b7c4", "#cfa7a0", "#e6e2d6"),
    "concrete": ("#9a9a96", "#b3b0a8", "#84868a", "#c4bfb3"),
}
_PAINTS = ("#e9e6df", "#3b3a38", "#5c4433", "#2f4a3f", "#6e2c2a", "#2d3e57", "#8c8f8f")
_SIGNS = ("#8f2d2a", "#24476b", "#2f5d44", "#c8a23a", "#4a3b5c", "#20242a", "#d6d0c2", "#b5582f")


def _wall(rng: np.random.Generator) -> tuple[Any, Any]:
    """Materials of the upper wall and of the ground floor."""
    kind = str(rng.choice(["brick", "plaster", "plaster", "concrete"]))
    colour = np.array(materials.linear(str(rng.choice(_WALLS[kind])))) * rng.uniform(0.8, 1.1)
    if kind == "brick":
        joint = np.clip(colour * rng.uniform(1.2, 1.8), 0, 0.6)
        wall = materials.tiled("brick", colour, joint, (0.24, 0.08), 0.011, 0.16, rng)
    elif kind == "concrete":
        size = (float(rng.uniform(1.2, 3.0)), float(rng.uniform(0.8, 1.6)))
        wall = materials.tiled("panels", colour, colour * 0.5, size, 0.015, 0.05, rng)
    else:
        wall = materials.blotched("plaster", colour, 3.0)
    base = materials.blotched("base", colour * rng.uniform(0.35, 0.9))
    return wall, base


def _opening(
    shape: MeshBuilder, x: float, z: float, size: tuple[float, float], glass: str, bars: tuple[int, int]
) -> None:
    """A window or door: reveal, frame with ``bars`` (columns, rows), glass set back from the wall at y = 0."""
    width, height = size
    x0, x1, z0, z1, depth, rim = x - width / 2, x + width / 2, z, z + height, 0.16, 0.06
    outer = [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]
    for (xa, za), (xb, zb) in zip(outer, outer[1:] + outer[:1], strict=True):
        shape.add_quads([[(xa, 0, za), (xb, 0, zb), (xb, depth, zb), (xa, depth, za)]], "wall")
    shape.add_quads([[(x0, depth, z0), (x1, depth, z0), (x1, depth, z1), (x0, depth, z1)]], glass)
    for column in range(bars[0] + 1):
        at = x0 + rim / 2 + (width - rim) * column / bars[0]
        shape.add_box((at - rim / 2, depth - 0.05, z0), (at + rim / 2, depth - 0.005, z1), "frame")
    for row in range(bars[1] + 1):
        at = z0 + rim / 2 + (height - rim) * row / bars[1]
        shape.add_box((x0, depth - 0.05, at - rim / 2), (x1, depth - 0.004, at + rim / 2), "frame")


def _panel(shape: MeshBuilder, x: tuple[float, float], z: tuple[float, float], wall: str,
           hole: tuple[float, float, float, float] | None) -> None:  # fmt: skip
    """A piece of wall at y = 0 with at most one rectangular ``hole`` (x0, x1, z0, z1)."""
    if hole is None:
        hole = (x[1], x[1], z[0], z[1])
    hx0, hx1, hz0, hz1 = hole
    for a, b, c, d in ((x[0], hx0, z[0], z[1]), (hx1, x[1], z[0], z[1]), (hx0, hx1, z[0], hz0), (hx0, hx1, hz1, z[1])):
        if b - a > 1e-6 and d - c > 1e-6:
            shape.add_quads([[(a, 0, c), (b, 0, c), (b, 0, d), (a, 0, d)]], wall)


def _balcony(shape: MeshBuilder, x: float, z: float, width: float) -> None:
    x0, x1, reach = x - width / 2 - 0.25, x + width / 2 + 0.25, 0.9
    shape.add_box((x0, -reach, z - 0.14), (x1, 0, z), "trim")
    for at in np.arange(x0, x1 + 1e-6, 0.14):
        shape.add_box((at - 0.012, -reach, z), (at + 0.012, -reach + 0.024, z + 0.95), "rail")
    shape.add_box((x0, -reach - 0.01, z + 0.93), (x1, -reach + 0.04, z + 0.98), "rail")
    for side in (x0, x1):
        shape.add_box((side - 0.02, -reach, z + 0.45), (side + 0.02, 0, z + 0.98), "rail")


def _shop(shape: MeshBuilder, x: tuple[float, float], height: float, rng: np.random.Generator) -> None:
    """Ground floor of a shop: large panes, a door, a sign board, now and then an awning."""
    margin, top = 0.35, height - 0.75
    hole = (x[0] + margin, x[1] - margin, 0.35, top)
    _panel(shape, x, (0.0, height), "base", hole)
    wide, middle = hole[1] - hole[0], (hole[0] + hole[1]) / 2
    _opening(shape, middle, 0.35, (wide, top - 0.35), str(rng.choice(["glass", "shop"])), (max(2, int(wide / 1.3)), 1))
    shape.add_box((x[0] + 0.15, -0.1, top + 0.08), (x[1] - 0.15, 0.02, height - 0.08), "sign")
    if rng.random() < 0.45:
        low, reach = top - 0.35, rng.uniform(0.9, 1.5)
        edges = np.linspace(hole[0], hole[1], int(wide / 0.45) + 1)
        for index, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            cloth = "awning" if index % 2 else "sign"
            shape.add_quads([[(a, -reach, low), (b, -reach, low), (b, 0, top + 0.1), (a, 0, top + 0.1)]], cloth)
            hem = low - 0.2
            shape.add_quads([[(a, -reach, hem), (b, -reach, hem), (b, -reach, low), (a, -reach, low)]], cloth)


def _ground_floor(shape: MeshBuilder, width: float, height: float, bays: int, rng: np.random.Generator) -> None:
    if rng.random() < 0.55:
        count = max(1, round(width / 5.5))
        edges = np.linspace(0.0, width, count + 1)
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            _shop(shape, (float(a), float(b)), height, rng)
        return
    edges, door = np.linspace(0.0, width, bays + 1), int(rng.integers(bays))
    for bay, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        middle = float(a + b) / 2
        size, sill = ((1.15, 2.3), 0.05) if bay == door else ((min(1.2, float(b - a) * 0.6), 1.45), 1.0)
        hole = (middle - size[0] / 2, middle + size[0] / 2, sill, sill + size[1])
        _panel(shape, (float(a), float(b)), (0.0, height), "base", hole)
        _opening(shape, middle, sill, size, "door" if bay == door else "glass", (1 if bay == door else 2, 1))


def build_facade(width: float, height: float, rng: np.random.Generator) -> Any:
    """A house front as a Blender mesh.

    Args:
        width: Metres along x, from 0.
        height: Metres of the eaves above the pavement; floors are fitted into it.
        rng: Source of style, colours and openings.

    Returns:
        A mesh whose wall lies in y = 0 and looks towards -y, with 8 m of house behind it.
    """
    shape, ground = MeshBuilder(), float(rng.uniform(3.3, 4.2))
    floors = max(1, round((height - ground) / rng.uniform(2.8, 3.4)))
    bays = max(2, round(width / rng.uniform(2.0, 3.2)))
    step, bay = (height - ground) / floors, width / bays
    size = (bay * rng.uniform(0.38, 0.68), step * rng.uniform(0.48, 0.66))
    bars = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
    balconies, rims, bands = rng.random() < 0.35, rng.random() < 0.6, rng.random() < 0.5
    _ground_floor(shape, width, ground, bays, rng)
    for floor in range(floors):
        z = ground + floor * step
        sill = z + (step - size[1]) * 0.45
        for column in range(bays):
            x = (column + 0.5) * bay
            _panel(shape, (column * bay, (column + 1) * bay), (z, z + step), "wall",
                   (x - size[0] / 2, x + size[0] / 2, sill, sill + size[1]))  # fmt: skip
            glass = str(rng.choice(["glass", "glass", "glass", "curtain", "blind"]))
            _opening(shape, x, sill, size, glass, bars)
            if rims:
                shape.add_box((x - size[0] / 2 - 0.1, -0.07, sill - 0.1), (x + size[0] / 2 + 0.1, 0.02, sill), "trim")
            if balconies and column % 2:
                _balcony(shape, x, sill - 0.05, size[0])
        if bands or floor == 0:
            shape.add_box((0, -0.06, z - 0.1), (width, 0.01, z + 0.1), "trim")
    shape.add_box((-0.1, -0.35, height - 0.05), (width + 0.1, 0.05, height + 0.35), "trim")
    shape.add_box((0, 0.3, 0), (width, 8.0, height), "wall")
    return shape.mesh("house", _materials(rng))


def _materials(rng: np.random.Generator) -> dict[str, Any]:
    wall, base = _wall(rng)
    paint = materials.linear(str(rng.choice(_PAINTS)))
    trim = np.array(materials.linear(str(rng.choice(["#d9d4c8", "#bdb7aa", "#8f8a80", "#efece4"])))) * 0.9
    sign, awning = (materials.linear(str(rng.choice(_SIGNS))) for _ in range(2))
    return {
        "wall": wall,
        "base": base,
        "trim": materials.blotched("trim", trim),
        "frame": materials.plain("frame", paint, 0.5),
        "rail": materials.plain("rail", (0.03, 0.03, 0.035), 0.4),
        "sign": materials.plain("sign", sign, 0.6),
        "awning": materials.matte("awning", awning),
        "door": materials.plain("door", [0.6 * c for c in materials.linear(str(rng.choice(_PAINTS[1:])))], 0.4),
        "glass": materials.plain("glass", (0.015, 0.02, 0.024), 0.06, specular=0.8),
        "shop": materials.plain("shop", (0.10, 0.08, 0.06), 0.1, specular=0.7),
        "curtain": materials.plain("curtain", (0.35, 0.33, 0.30), 0.25, specular=0.6),
        "blind": materials.plain("blind", (0.16, 0.16, 0.17), 0.2, specular=0.6),
    }
