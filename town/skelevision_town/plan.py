"""The plan of a video, as plain numbers (no Blender).

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
    """Daylight.

    Attributes:
        azimuth: Direction of the sun, radians.
        elevation: Height of the sun above the horizon, radians.
        cloud: Cloud cover, 0 clear to 1 overcast.
        haze: 0 to 1.
        brightness: Of the picture, 0 to 1.
    """

    azimuth: float
    elevation: float
    cloud: float
    haze: float
    brightness: float


@dataclass(frozen=True)
class Town:
    """The ground plan.

    Attributes:
        kind: ``"street"``, ``"square"`` or ``"park"``.
        seed: Seed of everything else about ground and houses.
        road_half: Half the road's width (street), or half the width of the path (park), metres.
        front: Distance of the house fronts from the x axis, metres.
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
    """A person who walks straight on.

    Attributes:
        seed: Seed of the person's looks and gait.
        start: x, y, z of the feet in frame 0, metres.
        heading: Radians.
        speed: Metres per second.
    """

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
    """An object that stands in the town; ``kind`` is its key in ``props.BUILDERS``."""

    kind: str
    seed: int
    position: tuple[float, float, float]
    heading: float


@dataclass(frozen=True)
class GreenScreen:
    """The green screen: a flat upright sheet.

    Attributes:
        centre: x, y, z of the middle of its lower edge, metres.
        heading: Direction of its right side, as seen from the front, radians.
        width: Metres.
        height: Metres.
    """

    centre: tuple[float, float, float]
    heading: float
    width: float
    height: float

    def corners(self) -> Array:
        """Corners (4, 3): top left, top right, bottom right, bottom left, as seen from the front."""
        right = np.array([np.cos(self.heading), np.sin(self.heading), 0.0]) * self.width / 2
        up, centre = np.array([0.0, 0.0, self.height]), np.asarray(self.centre)
        return np.stack([centre - right + up, centre + right + up, centre + right, centre - right])


@dataclass(frozen=True, eq=False)
class CameraTrajectory:
    """A pinhole camera that moves.

    Attributes:
        focal: Focal length, pixels.
        positions: (F, 3), metres.
        rotations: (F, 3, 3), from camera to world axes.
    """

    focal: float
    positions: Array
    rotations: Array

    def project(self, points: Array, frame: int) -> Array:
        """Project ``points`` (..., 3) into ``frame``: (..., 3) of x and y in pixels and the depth in metres."""
        local = (np.asarray(points, dtype=np.float64) - self.positions[frame]) @ self.rotations[frame]
        depth = -local[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        x = WIDTH / 2 + self.focal * local[..., 0] / safe
        y = HEIGHT / 2 - self.focal * local[..., 1] / safe
        return np.stack([x, y, depth], axis=-1)


def look_at(position: Array, target: Array, roll: float = 0.0) -> Array:
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
    """One video: the tracked ``walker``, the ``others``, and everything around them."""

    seed: int
    frames: int
    sky: Sky
    town: Town
    camera: CameraTrajectory
    walker: Walker
    others: tuple[Walker, ...]
    props: tuple[Prop, ...]
    screen: GreenScreen | None
