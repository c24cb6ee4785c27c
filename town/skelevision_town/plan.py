"""What a video of the town holds, before anything is built: plain numbers, no Blender.

Convention: right-handed world, x along the street, y across it, z up, metres; headings in radians from +x towards +y.
A camera looks along its own -z, its x points right and its y up; pixels count from the frame's upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skelevision_town.shapes import Array

WIDTH, HEIGHT = 640, 480  # px
FRAME_RATE = 12.0  # 1/s
KERB = 0.12  # m; pavements lie at z = 0, the road lies below


@dataclass(frozen=True)
class Sky:
    """Daylight: where the sun stands (radians), how much cloud (0..1), haze (0..1), and the picture's brightness."""

    azimuth: float
    elevation: float
    cloud: float
    haze: float
    brightness: float


@dataclass(frozen=True)
class Town:
    """The ground plan; ``seed`` settles everything else about the houses.

    Attributes:
        kind: ``"street"``, ``"square"`` or ``"park"``.
        road_half: half the road's width (street), or half the width of the path (park), metres.
        front: distance of the house fronts from the x axis, metres.
    """

    kind: str
    seed: int
    road_half: float
    front: float

    def ground(self, y: float) -> float:
        """Height of the ground at ``y``, metres."""
        return -KERB if self.kind == "street" and abs(y) < self.road_half else 0.0


@dataclass(frozen=True)
class Walker:
    """Somebody who walks straight on: start (x, y, z), heading, speed in m/s; ``seed`` is the person."""

    seed: int
    start: tuple[float, float, float]
    heading: float
    speed: float

    def path(self, frames: int) -> Array:
        """Position of the feet in every frame, (frames, 3)."""
        step = np.array([np.cos(self.heading), np.sin(self.heading), 0.0]) * self.speed / FRAME_RATE
        return np.asarray(self.start) + np.arange(frames)[:, None] * step


@dataclass(frozen=True)
class Prop:
    """A thing that stands around; ``kind`` is the name of its maker in ``props``."""

    kind: str
    seed: int
    position: tuple[float, float, float]
    heading: float


@dataclass(frozen=True)
class Screen:
    """The green screen: a flat upright sheet.

    Attributes:
        centre: of its lower edge, (x, y, z).
        heading: direction in which a reader standing before it sees its right side.
        width, height: metres.
    """

    centre: tuple[float, float, float]
    heading: float
    width: float
    height: float

    def corners(self) -> Array:
        """Top-left, top-right, bottom-right, bottom-left as a reader before it sees them, (4, 3)."""
        right = np.array([np.cos(self.heading), np.sin(self.heading), 0.0]) * self.width / 2
        up, centre = np.array([0.0, 0.0, self.height]), np.asarray(self.centre)
        return np.stack([centre - right + up, centre + right + up, centre + right, centre - right])


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera that moves.

    Attributes:
        focal: focal length, px.
        positions: (F, 3) metres.
        turns: (F, 3, 3) rotations from camera to world axes.
    """

    focal: float
    positions: Array
    turns: Array

    def project(self, points: Array, frame: int) -> Array:
        """Project ``points`` (..., 3) into ``frame``: (..., 3) of x and y in pixels and the depth in metres."""
        local = (np.asarray(points, dtype=np.float64) - self.positions[frame]) @ self.turns[frame]
        depth = -local[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        x = WIDTH / 2 + self.focal * local[..., 0] / safe
        y = HEIGHT / 2 - self.focal * local[..., 1] / safe
        return np.stack([x, y, depth], axis=-1)


def look(position: Array, target: Array, roll: float = 0.0) -> Array:
    """Rotation (3, 3), camera to world axes, of a camera at ``position`` that looks at ``target``."""
    back = position - target
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * up, c * up - s * right, back], axis=1)


@dataclass(frozen=True, eq=False)
class VideoPlan:
    """One video: the tracked ``walker``, the ``others``, and all that is around them."""

    seed: int
    frames: int
    sky: Sky
    town: Town
    camera: Camera
    walker: Walker
    others: tuple[Walker, ...]
    props: tuple[Prop, ...]
    screen: Screen | None
