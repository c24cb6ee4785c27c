"""Annotations of a frame, read from the scene: box, keypoints, the screen's corners and its visible pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from skelevision_town.plan import HEIGHT, WIDTH, CameraTrajectory, GreenScreen
from skelevision_town.shapes import Array

DEPTHS = np.array([0.06] * 5 + [0.17] * 12)  # m; how deep COCO's joints lie under the skin at most: face, body
_PURE = 0.99  # coverage from which a pixel shows nothing but the sheet


class FrameAnnotation(TypedDict):
    """Annotation of one frame, ready for JSON: a row of each list in a video's annotation file."""

    box_xyxy: list[float]
    keypoints: list[list[float]]
    gs_coords: list[list[int]]
    mask: str


def mesh_vertices(things: Sequence[Any], depsgraph: Any) -> Array:
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


def box_around_xyxy(camera: CameraTrajectory, frame: int, points: Array) -> list[float]:
    """Box around the projected ``points`` (n, 3), pixel edges, clipped to the frame."""
    x, y, _ = camera.project(points, frame).T
    box_xyxy = (max(x.min(), 0.0), max(y.min(), 0.0), min(x.max(), WIDTH), min(y.max(), HEIGHT))
    return [round(float(value), 2) for value in box_xyxy]


def annotate_keypoints(
    camera: CameraTrajectory, frame: int, joints: Array, things: Sequence[Any], scene: Any, depsgraph: Any
) -> list[list[float]]:
    """Keypoints in the picture.

    Args:
        camera: The camera.
        frame: Number of the frame.
        joints: (17, 3) world positions in COCO's order, metres.
        things: The person's own meshes.
        scene: Blender's scene.
        depsgraph: Its evaluated dependency graph.

    Returns:
        17 triples x, y, v in pixels: v is 2 for visible, 1 for occluded by something or by the body, 0 for outside of
        the frame.
    """
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


def screen_corners(camera: CameraTrajectory, frame: int, screen: GreenScreen) -> list[list[int]]:
    """The sheet's corners (4, 2) in whole pixels, in the order of ``GreenScreen.corners``."""
    return [[int(round(x)), int(round(y))] for x, y, _ in camera.project(screen.corners(), frame)]


def screen_mask(coverage: Array) -> str:
    """The pixels that show nothing but the sheet, as COCO's compressed run lengths.

    Args:
        coverage: (H, W) fraction of each pixel that is sheet, in [0, 1]. The renderer averages it over the same
            jittered, motion-blurred samples as the picture, so a pixel touched by an edge or a moving arm has less
            than 1.
    """
    from pycocotools import mask

    return str(mask.encode(np.asfortranarray(coverage > _PURE, dtype=np.uint8))["counts"].decode())
