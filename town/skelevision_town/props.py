"""Meshes of street furniture: trees, hedges, parked cars, lamp posts, benches, bollards, bins, signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from skelevision_town import materials
from skelevision_town.shapes import Array, MeshBuilder

_CAR_PAINTS = ("#c4c8cc", "#3a3d42", "#f0f0ec", "#a02f2a", "#2f4f80", "#7b8188", "#55694f", "#b3a58c", "#3f8594")
_CLOTHS = ("#b5352c", "#2f5f8f", "#caa23c", "#3f6b4a", "#8a8a86")


def _leaves(centres: Array, size: float, rng: np.random.Generator) -> Array:
    """Rhombic leaves (n, 4, 3), ``size`` metres long, turned every way."""
    along = rng.normal(size=centres.shape)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, rng.normal(size=centres.shape))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    long, wide = along * size * 0.5, across * size * 0.28
    return np.stack([centres - long, centres + wide, centres + long, centres - wide], axis=1)


def _clump(centre: Array, radii: Array, count: int, rng: np.random.Generator) -> Array:
    """Points (count, 3) in an ellipsoid, denser towards its skin."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return centre + direction * radii * rng.uniform(0.55, 1.0, size=(count, 1))


def tree(rng: np.random.Generator) -> Any:
    """A deciduous tree of 6 to 9 m: trunk, some boughs, and leaves in a dozen clumps."""
    shape, height, fork = MeshBuilder(), float(rng.uniform(6.0, 9.0)), float(rng.uniform(2.4, 3.2))
    lean = rng.normal(0, 0.12, size=2)
    top = np.array([lean[0] * 3, lean[1] * 3, height * 0.72])
    trunk = np.array([(0, 0, -0.2), (0, 0, 0.25), (*(lean * 0.6), fork), top])
    girth = float(rng.uniform(0.11, 0.19))
    shape.add_tube(trunk, [girth * 1.5, girth, girth * 0.8, girth * 0.2], "bark")
    spread, leaves = float(rng.uniform(1.5, 2.3)), []
    for _ in range(int(rng.integers(11, 15))):
        angle, reach = rng.uniform(0, 2 * np.pi), spread * np.sqrt(rng.uniform(0.05, 1.0))
        z = rng.uniform(fork + 0.5, height - 0.8)
        centre = np.array([np.cos(angle) * reach + lean[0], np.sin(angle) * reach + lean[1], z])
        bough = np.stack([trunk[2], centre * [0.4, 0.4, 1] - [0, 0, 0.5], centre])
        shape.add_tube(bough, [girth * 0.5, 0.05, 0.02], "bark", sides=6)
        leaves.append(_clump(centre, rng.uniform([0.7, 0.7, 0.5], [1.3, 1.3, 0.9]), 330, rng))
    shape.add_quads(_leaves(np.concatenate(leaves), float(rng.uniform(0.2, 0.28)), rng), "leaf")
    hue = np.array(materials.linear(str(rng.choice(["#55702f", "#4a6a32", "#6d7d35", "#3f5c30"]))))
    bark = materials.blotched("bark", materials.linear("#5c4f43"), 0.7)
    return shape.mesh("tree", {"bark": bark, "leaf": materials.leaf("leaf", hue)})


def hedge(rng: np.random.Generator) -> Any:
    """A clipped hedge, 3 m along x, about 1 m high."""
    shape, length, height, half = MeshBuilder(), 3.0, float(rng.uniform(0.7, 1.2)), 0.32
    shape.add_box((0.05, -half + 0.06, 0), (length - 0.05, half - 0.06, height - 0.06), "core")
    count = int(length * 320)
    centres = rng.uniform([0, -half, 0], [length, half, height], size=(count, 3))
    side = rng.integers(0, 3, size=count)
    centres[side == 0, 2] = height
    centres[side == 1, 1] = -half
    centres[side == 2, 1] = half
    shape.add_quads(_leaves(centres + rng.normal(0, 0.03, centres.shape), 0.14, rng), "leaf")
    green = materials.linear("#43592f")
    dark = materials.matte("core", [0.3 * c for c in green])
    return shape.mesh("hedge", {"core": dark, "leaf": materials.leaf("hedge leaf", green)})


def _ring(x: float, half: float, low: float, high: float, tuck: float) -> list[tuple[float, float, float]]:
    """Cross-section of a car at ``x``: flat bottom, bulging sides, rounded top."""
    middle = (low + high) / 2
    right = [(half * 0.9, low), (half, middle), (half - tuck * 0.35, high - 0.08), (half - tuck, high)]
    return [(x, y, z) for y, z in right] + [(x, -y, z) for y, z in reversed(right)]


def _wheel(shape: MeshBuilder, x: float, y: float) -> None:
    outward = np.sign(y)
    shape.add_tube([(x, y - 0.1, 0.31), (x, y + 0.1, 0.31)], [0.31, 0.31], "tyre", sides=16)
    shape.add_tube([(x, y + outward * 0.09, 0.31), (x, y + outward * 0.115, 0.31)], [0.2, 0.18], "rim", sides=12)


def car(rng: np.random.Generator) -> Any:
    """A parked car, its nose towards +x: saloon, hatchback or van."""
    shape, kind = MeshBuilder(), str(rng.choice(["saloon", "hatch", "van"]))
    half, belt = 0.87, {"saloon": 0.88, "hatch": 0.92, "van": 1.05}[kind]
    end, roof = {"saloon": 2.25, "hatch": 2.0, "van": 2.35}[kind], {"saloon": 1.42, "hatch": 1.5, "van": 1.95}[kind]
    body = [(-end, 0.72, belt - 0.22), (-end + 0.12, 0.95, belt - 0.04), (-end * 0.5, 1.0, belt), (0.3, 1.0, belt),
            (end * 0.45, 1.0, belt - 0.02), (end - 0.25, 0.93, belt - 0.16), (end, 0.7, belt - 0.32)]  # fmt: skip
    shape.add_loft([_ring(x, half * wide, 0.24, high, 0.14) for x, wide, high in body], "paint")
    rear = {"saloon": -1.75, "hatch": -1.9, "van": -2.28}[kind]
    front = {"saloon": 1.0, "hatch": 1.05, "van": 1.5}[kind]
    slope = {"saloon": 0.55, "hatch": 0.3, "van": 0.08}[kind]
    cabin = [(rear, 0.78, belt - 0.03), (rear + slope, 0.62, roof - 0.05), (front - 0.75, 0.62, roof - 0.02)]
    cabin += [(front, 0.78, belt - 0.03)]
    inner = [(x, half * w / 0.82, z) for x, w, z in cabin]
    for sign in (1, -1):
        side = [(x, sign * w, z) for x, w, z in inner]
        shape.add_quads([side if sign < 0 else side[::-1]], "glass")
        for at in (0.36, 0.98 if kind == "van" else 0.68):
            low = np.array(side[0]) * (1 - at) + np.array(side[3]) * at
            high = np.array(side[1]) * (1 - at) + np.array(side[2]) * at
            out, wide = np.array([0, sign * 0.012, 0]), np.array([0.05, 0, 0])
            shape.add_quads([[low + out - wide, low + out + wide, high + out + wide, high + out - wide]], "paint")
    left, right = [(x, -w, z) for x, w, z in inner], [(x, w, z) for x, w, z in inner]
    for index, material in enumerate(("glass", "paint", "glass")):
        shape.add_quads([[left[index], left[index + 1], right[index + 1], right[index]]], material)
    top = [[(x, y, roof + rise) for x, y in _oval(inner, wide)] for rise, wide in ((-0.05, 1.03), (0.03, 0.9))]
    shape.add_loft(top, "paint")
    for x in (-end * 0.62, end * 0.62):
        for y in (half - 0.09, -half + 0.09):
            _wheel(shape, x, y)
    for y in (-0.6, 0.6):
        shape.add_box((end - 0.13, y - 0.16, belt - 0.42), (end + 0.0, y + 0.16, belt - 0.27), "lamp")
        shape.add_box((-end - 0.01, y - 0.14, belt - 0.4), (-end + 0.1, y + 0.14, belt - 0.22), "tail")
    for x in (-end - 0.02, end - 0.04):
        shape.add_box((x, -0.26, 0.42), (x + 0.06, 0.26, 0.54), "plate")
        shape.add_box((x, -0.8, 0.3), (x + 0.05, 0.8, 0.4), "trim")
    return shape.mesh("car", _car_materials(rng))


def _oval(inner: list[tuple[float, float, float]], wide: float) -> list[tuple[float, float]]:
    """Outline of the roof, going round."""
    back, front, half = inner[1][0] - 0.03, inner[2][0] + 0.03, inner[1][1] * wide
    return [(back, -half * 0.9), (front, -half * 0.9), (front + 0.06, 0.0), (front, half * 0.9), (back, half * 0.9),
            (back - 0.06, 0.0)]  # fmt: skip


def _car_materials(rng: np.random.Generator) -> dict[str, Any]:
    paint = materials.plain("car paint", materials.linear(str(rng.choice(_CAR_PAINTS))), 0.22, specular=0.6)
    return {
        "paint": paint,
        "glass": materials.plain("car glass", (0.012, 0.014, 0.016), 0.05, specular=0.9),
        "tyre": materials.plain("tyre", (0.012, 0.012, 0.012), 0.85),
        "rim": materials.plain("rim", (0.45, 0.46, 0.48), 0.3, metallic=0.8),
        "lamp": materials.plain("lamp", (0.75, 0.75, 0.72), 0.1, specular=0.9),
        "tail": materials.plain("tail", (0.35, 0.01, 0.01), 0.2, specular=0.7),
        "plate": materials.plain("plate", (0.6, 0.6, 0.55), 0.5),
        "trim": materials.plain("trim", (0.02, 0.02, 0.02), 0.6),
    }


def lamp_post(rng: np.random.Generator) -> Any:
    """A street lamp of 5 to 7 m; its arm reaches towards -y."""
    shape, height = MeshBuilder(), float(rng.uniform(5.0, 7.0))
    shape.add_tube([(0, 0, 0), (0, 0, 0.8), (0, 0, 0.85), (0, 0, height)], [0.11, 0.1, 0.07, 0.05], "metal")
    arm = [(0, 0, height - 0.1), (0, -0.5, height + 0.25), (0, -1.2, height + 0.3)]
    shape.add_tube(arm, [0.04, 0.04, 0.03], "metal")
    shape.add_box((-0.1, -1.7, height + 0.24), (0.1, -1.1, height + 0.36), "metal")
    grey = materials.plain("metal", np.array([0.09, 0.1, 0.1]) * rng.uniform(0.4, 2.5), 0.45)
    return shape.mesh("lamp post", {"metal": grey})


def bench(rng: np.random.Generator) -> Any:
    """A slatted bench, 1.8 m along x, its back towards +y."""
    shape = MeshBuilder()
    for y in (-0.2, -0.06, 0.08, 0.22):
        shape.add_box((-0.9, y - 0.055, 0.42), (0.9, y + 0.055, 0.46), "wood")
    for z in (0.58, 0.72, 0.86):
        shape.add_box((-0.9, 0.27 + (z - 0.5) * 0.2, z - 0.05), (0.9, 0.3 + (z - 0.5) * 0.2, z + 0.05), "wood")
    for x in (-0.75, 0.75):
        shape.add_box((x - 0.03, -0.24, 0), (x + 0.03, -0.18, 0.44), "iron")
        shape.add_box((x - 0.03, 0.24, 0), (x + 0.03, 0.3, 0.9), "iron")
        shape.add_box((x - 0.03, -0.24, 0.38), (x + 0.03, 0.3, 0.42), "iron")
    wood = materials.blotched("wood", materials.linear(str(rng.choice(["#7a5836", "#8c7152", "#5b4029"]))), 0.9)
    return shape.mesh("bench", {"wood": wood, "iron": materials.plain("iron", (0.03, 0.03, 0.03), 0.5)})


def bollard(rng: np.random.Generator) -> Any:
    """A bollard of 0.9 m with a light band."""
    shape = MeshBuilder()
    shape.add_tube([(0, 0, 0), (0, 0, 0.85), (0, 0, 0.93)], [0.08, 0.075, 0.03], "iron")
    shape.add_tube([(0, 0, 0.68), (0, 0, 0.76)], [0.084, 0.084], "band")
    tone = float(rng.uniform(0.02, 0.12))
    iron, band = materials.plain("iron", (tone,) * 3), materials.matte("band", (0.6,) * 3)
    return shape.mesh("bollard", {"iron": iron, "band": band})


def litter_bin(rng: np.random.Generator) -> Any:
    """A litter bin."""
    shape = MeshBuilder()
    shape.add_tube([(0, 0, 0.08), (0, 0, 0.85), (0, 0, 0.95)], [0.2, 0.24, 0.2], "body", sides=12)
    shape.add_tube([(0, 0, 0.95), (0, 0, 1.0)], [0.25, 0.22], "lid", sides=12)
    body = materials.linear(str(rng.choice(["#37503f", "#44484c", "#27364d", "#5a4a3a"])))
    return shape.mesh("bin", {"body": materials.plain("body", body), "lid": materials.plain("lid", (0.03,) * 3)})


def sign(rng: np.random.Generator) -> Any:
    """A traffic sign or a small hoarding on a pole, facing -y."""
    shape, face = MeshBuilder(), str(rng.choice(["disc", "board"]))
    shape.add_tube([(0, 0, 0), (0, 0, 2.7)], [0.035, 0.035], "pole")
    if face == "disc":
        for depth, radius, material in ((0.04, 0.32, "rim"), (0.055, 0.25, "face")):
            shape.add_tube([(0, -depth, 2.35), (0, -depth - 0.012, 2.35)], [radius, radius], material, sides=20)
    else:
        shape.add_box((-0.35, -0.06, 1.7), (0.35, -0.03, 2.6), "rim")
        shape.add_box((-0.3, -0.075, 1.76), (0.3, -0.05, 2.3), "face")
    rim = materials.linear(str(rng.choice(_CLOTHS)))
    surfaces = {"pole": materials.plain("pole", (0.3,) * 3, 0.4), "rim": materials.plain("sign rim", rim)}
    return shape.mesh("sign", surfaces | {"face": materials.plain("sign face", (0.75, 0.74, 0.7))})


BUILDERS = {
    "tree": tree,
    "hedge": hedge,
    "car": car,
    "lamp_post": lamp_post,
    "bench": bench,
    "bollard": bollard,
    "bin": litter_bin,
    "sign": sign,
}
"""Functions that build a mesh, by the kind of object."""
