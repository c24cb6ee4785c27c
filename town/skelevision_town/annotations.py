"""Ground truth out of the scene: box, joints, the screen's corners, and where the screen is really seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from skelevision_town.plan import HEIGHT, WIDTH, Camera, Screen
from skelevision_town.shapes import Array

DEPTHS = np.array([0.06] * 5 + [0.17] * 12)  # m; how deep COCO's joints lie under the skin at most: face, body
_PURE = 0.99  # coverage from which a pixel shows nothing but the sheet


class FrameTruth(TypedDict):
    """Annotation of one frame, ready for JSON; see the package's walkers format."""

    box_xyxy: list[float]
    keypoints: list[list[float]]
    gs_coords: list[list[int]]
    mask: str


def mesh_points(things: Sequence[Any], depsgraph: Any) -> Array:
    """Vertices (n, 3) of ``things`` in the world, modifiers and pose applied."""
    points = []
    for thing in things:
        evaluated = thing.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        local = np.empty(len(mesh.vertices) * 3)
        mesh.vertices.foreach_get("co", local)
        matrix = np.array(evaluated.matrix_world)
        points.append(local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
        evaluated.to_mesh_clear()
    return np.concatenate(points)


def box_around_xyxy(camera: Camera, frame: int, points: Array) -> list[float]:
    """Box around the projected ``points`` (n, 3), pixel edges, clipped to the frame."""
    x, y, _ = camera.project(points, frame).T
    box_xyxy = (max(x.min(), 0.0), max(y.min(), 0.0), min(x.max(), WIDTH), min(y.max(), HEIGHT))
    return [round(float(value), 2) for value in box_xyxy]


def see_joints(
    camera: Camera, frame: int, joints: Array, things: Sequence[Any], scene: Any, depsgraph: Any
) -> list[list[float]]:
    """Joints (17, 3) in the picture as (x, y, v): v = 2 visible, 1 hidden by something or by the body, 0 outside."""
    from mathutils import Vector

    eye, names, seen = camera.positions[frame], {thing.name for thing in things}, []
    for joint, (x, y, depth), inside in zip(joints, camera.project(joints, frame), DEPTHS, strict=True):
        if depth <= 0 or not (0 <= x < WIDTH and 0 <= y < HEIGHT):
            seen.append([0.0, 0.0, 0.0])
            continue
        reach = float(np.linalg.norm(joint - eye))
        ray = Vector((joint - eye) / reach)
        hit, place, _, _, what, _ = scene.ray_cast(depsgraph, Vector(eye), ray, distance=reach)
        own = hit and what.name in names
        free = not hit or (own and reach - float(np.linalg.norm(np.array(place) - eye)) < inside)
        seen.append([round(float(x), 2), round(float(y), 2), 2.0 if free else 1.0])
    return seen


def screen_corners(camera: Camera, frame: int, screen: Screen) -> list[list[int]]:
    """The sheet's corners in whole pixels; order as ``Screen.corners``."""
    return [[int(round(x)), int(round(y))] for x, y, _ in camera.project(screen.corners(), frame)]


def screen_mask(coverage: Array) -> str:
    """COCO run lengths of the pixels that show nothing but the sheet.

    Args:
        coverage: (H, W) share of every pixel that is sheet; the renderer averages it over the same jittered, motion
            blurred samples as the picture, so a pixel that somebody's edge or moving arm brushes has less than 1.
    """
    from pycocotools import mask

    return str(mask.encode(np.asfortranarray(coverage > _PURE, dtype=np.uint8))["counts"].decode())
