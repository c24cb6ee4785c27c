"""Builds Blender meshes from quads that name their material.

Convention: right-handed world, x along the street, y across it, z up, metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_BOX_FACES = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])


class MeshBuilder:
    """Collects quads, each with the name of its material, and makes a mesh of them."""

    def __init__(self) -> None:
        self._points: list[Array] = []
        self._faces: list[NDArray[np.int64]] = []
        self._slots: list[NDArray[np.int64]] = []
        self._count = 0
        self.materials: list[str] = []

    def add(self, points: ArrayLike, faces: ArrayLike, material: str) -> None:
        """Append ``points`` (n, 3) and ``faces`` (m, 4), counter-clockwise seen from outside."""
        points = np.asarray(points, dtype=np.float64)
        faces = np.asarray(faces, dtype=np.int64)
        if material not in self.materials:
            self.materials.append(material)
        self._points.append(points)
        self._faces.append(faces + self._count)
        self._slots.append(np.full(len(faces), self.materials.index(material), dtype=np.int64))
        self._count += len(points)

    def add_quads(self, corners: ArrayLike, material: str) -> None:
        """Append loose quads ``corners`` (m, 4, 3)."""
        corners = np.asarray(corners, dtype=np.float64).reshape(-1, 4, 3)
        self.add(corners.reshape(-1, 3), np.arange(len(corners) * 4).reshape(-1, 4), material)

    def add_box(self, low: Sequence[float], high: Sequence[float], material: str) -> None:
        """Append a box with sides parallel to the axes, from corner ``low`` to corner ``high``."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.add([(x, y, z) for z in (z0, z1) for x, y in ring], _BOX_FACES, material)

    def add_tube(self, path: ArrayLike, radii: Sequence[float], material: str, sides: int = 8) -> None:
        """Append a closed tube around the polyline ``path`` (n, 3) with one radius per point; ``sides`` is even."""
        path = np.asarray(path, dtype=np.float64)
        along = np.gradient(path, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
        first = np.cross(along, helper)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(along, first)
        angle = 2 * np.pi * np.arange(sides) / sides
        rim = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
        points = path[:, None] + np.asarray(radii)[:, None, None] * rim
        ring, step = np.arange(sides), np.roll(np.arange(sides), -1)
        faces = [np.stack([i * sides + ring, i * sides + step, (i + 1) * sides + step, (i + 1) * sides + ring], 1)
                 for i in range(len(path) - 1)]  # fmt: skip
        half = np.arange(sides // 2 - 1)
        cap = np.stack([half, half + 1, sides - 2 - half, sides - 1 - half], 1)
        faces += [cap[:, ::-1], cap + (len(path) - 1) * sides]
        self.add(points.reshape(-1, 3), np.concatenate(faces), material)

    def add_loft(self, rings: ArrayLike, material: str) -> None:
        """Append the closed skin over ``rings`` (n, k, 3), k even, each ring going round the same way."""
        rings = np.asarray(rings, dtype=np.float64)
        count, sides, _ = rings.shape
        ring, step = np.arange(sides), np.roll(np.arange(sides), -1)
        faces = [np.stack([i * sides + ring, i * sides + step, (i + 1) * sides + step, (i + 1) * sides + ring], 1)
                 for i in range(count - 1)]  # fmt: skip
        half = np.arange(sides // 2 - 1)
        cap = np.stack([half, half + 1, sides - 2 - half, sides - 1 - half], 1)
        faces += [cap[:, ::-1], cap + (count - 1) * sides]
        self.add(rings.reshape(-1, 3), np.concatenate(faces), material)

    def mesh(self, name: str, materials: Mapping[str, Any], smooth: bool = False) -> Any:
        """Make a Blender mesh; ``materials`` maps each name used here to a Blender material."""
        import bpy

        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(np.concatenate(self._points).tolist(), [], np.concatenate(self._faces).tolist())
        for material in self.materials:
            mesh.materials.append(materials[material])
        mesh.polygons.foreach_set("material_index", np.concatenate(self._slots).astype(np.int32))
        _lay_uv(mesh)
        if smooth:
            mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
        mesh.update()
        return mesh


def _lay_uv(mesh: Any) -> None:
    """Give every face UV coordinates in metres: along the wall and up, or x and y on the ground."""
    points, normals = np.empty(len(mesh.vertices) * 3), np.empty(len(mesh.polygons) * 3)
    mesh.vertices.foreach_get("co", points)
    mesh.polygons.foreach_get("normal", normals)
    corners = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    at, facing = points.reshape(-1, 3)[corners], np.repeat(np.abs(normals.reshape(-1, 3)), 4, axis=0)
    flat, side = facing[:, 2] > 0.7, facing[:, 0] > facing[:, 1]
    uv = np.stack([np.where(side & ~flat, at[:, 1], at[:, 0]), np.where(flat, at[:, 1], at[:, 2])], axis=1)
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())


def place(mesh: Any, position: Sequence[float] = (0.0, 0.0, 0.0), heading: float = 0.0, scale: float = 1.0) -> Any:
    """Put an instance of ``mesh`` into the scene, turned by ``heading`` (radians, about z)."""
    import bpy

    thing = bpy.data.objects.new(mesh.name, mesh)
    thing.location = position
    thing.rotation_euler = (0.0, 0.0, heading)
    thing.scale = (scale, scale, scale)
    bpy.context.scene.collection.objects.link(thing)
    return thing
