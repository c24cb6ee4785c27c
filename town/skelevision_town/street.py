"""Builds the town of a plan in Blender: ground, houses and street furniture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from skelevision_town import facades, materials, props
from skelevision_town.plan import KERB, Prop, Town
from skelevision_town.shapes import MeshBuilder, place

_REACH = 60.0  # m; the town ends there on both sides
_FAR = 400.0  # m; the ground beyond


def build_town(town: Town, objects: Iterable[Prop]) -> None:
    """Add ground, houses and ``objects`` to the current scene."""
    rng = np.random.default_rng([town.seed, 1])
    place(_ground(town, rng))
    _houses(town, rng)
    _furniture(town, objects)


def _sheet(shape: MeshBuilder, x: tuple[float, float], y: tuple[float, float], z: float, material: str) -> None:
    shape.add_quads([[(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]], material)


def _ground(town: Town, rng: np.random.Generator) -> Any:
    shape, wide = MeshBuilder(), (-_FAR, _FAR)
    if town.kind == "street":
        _road(shape, town, rng)
    elif town.kind == "square":
        _sheet(shape, wide, wide, 0.0, "slabs")
        for y in (-6.8, 8.5):
            if rng.random() < 0.6:
                x = float(rng.uniform(-25, 5))
                shape.add_box((x - 0.15, y - 1.65, 0), (x + 20.15, y + 1.65, 0.1), "kerb")
                shape.add_box((x, y - 1.5, 0), (x + 20, y + 1.5, 0.14), "grass")
    else:
        _sheet(shape, wide, wide, 0.0, "grass")
        _sheet(shape, wide, (-town.road_half, town.road_half), 0.004, "path")
        for side in (-1, 1):
            y = side * (town.road_half + 0.05)
            shape.add_box((-_REACH, y - 0.05, -0.1), (_REACH, y + 0.05, 0.03), "kerb")
    return shape.mesh("ground", _ground_materials(town, rng))


def _road(shape: MeshBuilder, town: Town, rng: np.random.Generator) -> None:
    half, wide = town.road_half, (-_FAR, _FAR)
    _sheet(shape, wide, (-half, half), -KERB, "asphalt")
    for side in (-1, 1):
        inner, outer = side * (half + 0.16), side * _FAR
        _sheet(shape, wide, (min(inner, outer), max(inner, outer)), 0.0, "slabs")
        low, high = sorted((side * half, inner))
        for x in np.arange(-_REACH, _REACH, 1.0):
            shape.add_box((x + 0.006, low, -KERB - 0.1), (x + 0.994, high, 0.004), "kerb")
        gutter = sorted((side * half, side * (half - 0.3)))
        _sheet(shape, (-_REACH, _REACH), (gutter[0], gutter[1]), -KERB + 0.003, "gutter")
    style = str(rng.choice(["dashes", "dashes", "none", "parking"]))
    if style != "none":
        for x in np.arange(-_REACH, _REACH, 4.5):
            _sheet(shape, (x, x + 2.2), (-0.06, 0.06), -KERB + 0.004, "paint")
    if style == "parking":
        for y in (-half + 2.0, half - 2.0):
            _sheet(shape, (-_REACH, _REACH), (y - 0.05, y + 0.05), -KERB + 0.004, "paint")
    if rng.random() < 0.5:
        x = float(rng.uniform(-9, 9))
        for y in np.arange(-half + 0.5, half - 0.4, 1.0):
            _sheet(shape, (x, x + 3.0), (y, y + 0.5), -KERB + 0.005, "paint")
    for _ in range(8):
        x, y, w, d = rng.uniform([-25, -half, 0.8, 0.5], [25, half - 1, 5.0, 1.0])
        _sheet(shape, (x, x + w), (y, y + d), -KERB + 0.002, "patch")


def _ground_materials(town: Town, rng: np.random.Generator) -> dict[str, Any]:
    grey = float(rng.uniform(0.055, 0.11))
    warm = np.array([1.0, rng.uniform(0.93, 1.0), rng.uniform(0.82, 0.98)])
    slab = warm * rng.uniform(0.17, 0.34)
    size = [(0.6, 0.4), (0.4, 0.4), (0.2, 0.1), (0.9, 0.6)][int(rng.integers(4))]
    green = np.array(materials.linear(str(rng.choice(["#5f7a3a", "#6b7f3f", "#55703a", "#7d8446"]))))
    path = materials.linear(str(rng.choice(["#8f8578", "#a69478", "#7b7975", "#b0a184"])))
    return {
        "asphalt": materials.blotched("asphalt", (grey, grey, grey * 1.03), 2.5),
        "patch": materials.blotched("patch", (grey * 0.7, grey * 0.7, grey * 0.72), 2.0),
        "gutter": materials.blotched("gutter", (grey * 1.3, grey * 1.25, grey * 1.2), 1.5),
        "paint": materials.blotched("paint", (0.5, 0.5, 0.48), 2.5),
        "kerb": materials.blotched("kerb", (0.26, 0.255, 0.24), 1.3),
        "slabs": materials.tiled("slabs", slab, slab * 0.5, size, 0.012, 0.07, rng),
        "grass": materials.blotched("grass", green * 0.75, 2.2, "turf"),
        "path": materials.blotched("path", path, 2.0),
    }


def _row(start: tuple[float, float], heading: float, length: float, heights: tuple[float, float],
         rng: np.random.Generator) -> None:  # fmt: skip
    """Houses side by side from ``start`` along ``heading``; they look to the right of that direction."""
    done = 0.0
    while done < length:
        width = float(rng.uniform(8.0, 15.0))
        mesh = facades.build_facade(width, float(rng.uniform(*heights)), rng)
        at = (start[0] + np.cos(heading) * done, start[1] + np.sin(heading) * done, -0.02)
        place(mesh, at, heading)
        done += width + (float(rng.uniform(1.5, 5.0)) if rng.random() < 0.12 else 0.0)


def _houses(town: Town, rng: np.random.Generator) -> None:
    low, high = {"street": (7.0, 15.0), "square": (8.0, 18.0), "park": (9.0, 20.0)}[town.kind]
    front, reach = town.front, {"street": _REACH, "square": 32.0, "park": 48.0}[town.kind]
    _row((-reach, front), 0.0, 2 * reach, (low, high), rng)
    _row((reach, -front), np.pi, 2 * reach, (low, high), rng)
    _row((reach, front + 8), -np.pi / 2, 2 * front + 16, (low, high), rng)
    _row((-reach, -front - 8), np.pi / 2, 2 * front + 16, (low, high), rng)


def _furniture(town: Town, objects: Iterable[Prop]) -> None:
    """Instances of a few makes of each kind of thing."""
    made: dict[tuple[str, int], Any] = {}
    for index, prop in enumerate(objects):
        make = (prop.kind, prop.seed)
        if make not in made:
            rng = np.random.default_rng([town.seed, 2, prop.seed, len(prop.kind)])
            made[make] = props.BUILDERS[prop.kind](rng)
        spin = 2.4 * index if prop.kind == "tree" else prop.heading
        place(made[make], prop.position, spin, 1.0 + 0.12 * np.sin(7.0 * index) if prop.kind == "tree" else 1.0)
