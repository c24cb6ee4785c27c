"""Occlusion tests: objects and people as upright cylinders that sight lines run into. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelevision_town.plan import CameraTrajectory, GreenScreen, Prop
from skelevision_town.shapes import Array

# kind: (offset along the object's own x, radius, lowest z, highest z), metres
CYLINDERS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "tree": ((0.0, 0.25, 0.0, 2.6), (0.0, 2.9, 2.5, 9.0)),
    "car": tuple((x, 0.95, 0.0, 1.5) for x in (-1.6, -0.8, 0.0, 0.8, 1.6)),
    "lamp_post": ((0.0, 0.1, 0.0, 6.5),),
    "bench": tuple((x, 0.33, 0.0, 0.9) for x in (-0.6, 0.0, 0.6)),
    "bollard": ((0.0, 0.09, 0.0, 0.93),),
    "bin": ((0.0, 0.25, 0.0, 1.0),),
    "sign": ((0.0, 0.05, 0.0, 1.7), (0.0, 0.35, 1.7, 2.7)),
    "hedge": tuple((x, 0.4, 0.0, 1.2) for x in (0.3, 0.9, 1.5, 2.1, 2.7)),
    "walker": ((0.0, 0.24, 0.0, 1.75),),
}
_BODY = np.array([(x, z) for z in (0.15, 0.5, 0.9, 1.3, 1.65) for x in (-0.18, 0.0, 0.18)])


def prop_cylinders(prop: Prop) -> Array:
    """Cylinders (n, 5) of an object: x, y, radius, lowest z, highest z, metres."""
    x, y, z = prop.position
    c, s = np.cos(prop.heading), np.sin(prop.heading)
    return np.array([(x + c * d, y + s * d, r, z + low, z + high) for d, r, low, high in CYLINDERS[prop.kind]])


def body_points(camera: CameraTrajectory, feet: Array) -> Array:
    """Fifteen points (F, 15, 3) over the body that walks along ``feet`` (F, 3), spread across the view."""
    right = camera.rotations[:, :, 0] * [1.0, 1.0, 0.0]
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    lift = np.array([0.0, 0.0, 1.0])
    return np.asarray(feet[:, None] + _BODY[None, :, :1] * right[:, None] + _BODY[None, :, 1:] * lift)


def is_blocked(eyes: Array, points: Array, cylinders: Array) -> NDArray[np.bool_]:
    """Which sight lines run into which cylinders.

    Args:
        eyes: (F, 3) camera positions.
        points: (F, P, 3) points that are looked at.
        cylinders: (n, 5), or (F, n, 5) when they move: x, y, radius, lowest z, highest z.

    Returns:
        (F, P, n) booleans.
    """
    if cylinders.ndim == 2:
        cylinders = np.broadcast_to(cylinders, (len(eyes), *cylinders.shape))
    ray = points - eyes[:, None]
    flat = ray[..., None, :2]
    offset = cylinders[:, None, :, :2] - eyes[:, None, None, :2]
    share = np.clip((offset * flat).sum(-1) / np.maximum((flat**2).sum(-1), 1e-9), 0.0, 1.0)
    miss = np.linalg.norm(offset - share[..., None] * flat, axis=-1)
    height = eyes[:, None, None, 2] + share * ray[..., None, 2]
    near = miss < cylinders[:, None, :, 2]
    return np.asarray(near & (height > cylinders[:, None, :, 3]) & (height < cylinders[:, None, :, 4]))


def path_cylinders(feet: Array) -> Array:
    """A walking person as a moving cylinder (F, 1, 5); columns as in `prop_cylinders`."""
    _, radius, low, high = CYLINDERS["walker"][0]
    z = feet[:, 2]
    return np.stack([feet[:, 0], feet[:, 1], np.full(len(feet), radius), z + low, z + high], axis=-1)[:, None]


def segment_distance(points: Array, start: Array, end: Array) -> Array:
    """Distance (...) of ``points`` (..., 2) from the segment ``start`` to ``end``."""
    along = end - start
    share = np.clip(((points - start) @ along) / max(float(along @ along), 1e-9), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - start - share[..., None] * along, axis=-1))


def screen_distance(points: Array, screen: GreenScreen) -> Array:
    """Distance on the ground (...) of ``points`` (..., 3) from the lower edge of the screen, metres."""
    corners = screen.corners()
    return segment_distance(points[..., :2], corners[3, :2], corners[2, :2])


def prop_distance(points: Array, prop: Prop) -> Array:
    """Clearance on the ground (...) between ``points`` (..., 3) and the parts of an object below 2 m, metres."""
    cylinders = prop_cylinders(prop)
    cylinders = cylinders[cylinders[:, 3] < 2.0]
    gaps = np.linalg.norm(points[..., None, :2] - cylinders[:, :2], axis=-1) - cylinders[:, 2]
    return np.asarray(gaps.min(axis=-1))
