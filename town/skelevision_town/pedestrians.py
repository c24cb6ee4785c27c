"""The other people of a video, and an object that occludes the tracked person. NumPy only."""

from __future__ import annotations

import numpy as np

from skelevision_town import occlusion
from skelevision_town.gait import CYCLE_TIME
from skelevision_town.person import sample_person
from skelevision_town.plan import FRAME_RATE, CameraTrajectory, GreenScreen, Prop, Town, Walker
from skelevision_town.shapes import Array


def walking_speed(person: int, rng: np.random.Generator) -> float:
    """Walking speed in m/s that suits the legs of ``person``."""
    stride = sample_person(np.random.default_rng(person)).stride
    return stride / CYCLE_TIME * float(rng.uniform(0.85, 1.1))


def sample_others(
    town: Town, camera: CameraTrajectory, walker: Walker, screen: GreenScreen, frames: int, rng: np.random.Generator
) -> tuple[Walker, ...]:
    """Up to five more walkers who keep their distance from each other, the screen and the camera.

    The first crosses before or behind the tracked person if there is room.
    """
    found: list[Walker] = []
    wanted, feet = int(rng.integers(2, 6)), walker.path(frames)
    reach = camera.rotations[:, :, 2].mean(0)[:2]
    for attempt in range(60):
        if len(found) == wanted:
            break
        role = "crossing" if not found and attempt < 20 else str(rng.choice(["beside", "far", "far", "crossing"]))
        other = _sample_other(role, town, walker, feet, reach / np.linalg.norm(reach), rng)
        path = other.path(frames)
        rest = [feet, *(w.path(frames) for w in found)]
        free = min(float(np.linalg.norm(path - p, axis=1).min()) for p in rest) > 0.62
        clear = occlusion.screen_distance(path, screen).min() > 0.4
        away = np.linalg.norm((path - camera.positions)[:, :2], axis=1).min() > 3.0
        edge = abs(abs(path[:, 1]) - town.road_half).min() > 0.25 or town.kind != "street"
        if free and clear and away and edge and abs(path[:, 1]).max() < town.front - 0.5:
            found.append(other)
    return tuple(found)


def _sample_other(
    role: str, town: Town, walker: Walker, feet: Array, toward: Array, rng: np.random.Generator
) -> Walker:
    person = int(rng.integers(2**31))
    speed, frames = walking_speed(person, rng), len(feet)
    along = np.array([np.cos(walker.heading), np.sin(walker.heading)])
    side = np.array([-along[1], along[0]])
    side = side if side @ toward > 0 else -side
    if role == "crossing":
        heading = walker.heading + np.pi + float(rng.normal(0, 0.12))
        when = int(frames * rng.uniform(0.25, 0.75))
        before, behind = rng.uniform(0.7, 1.6), -rng.uniform(0.65, 0.9)
        spot = feet[when, :2] + side * float(rng.choice([before, behind], p=[0.75, 0.25]))
    elif role == "beside":
        heading, when = walker.heading + float(rng.normal(0, 0.05)), 0
        speed = 0.4 * speed + 0.6 * walker.speed
        spot = feet[0, :2] + along * float(rng.choice([-1, 1])) * rng.uniform(0.8, 2.2) + side * rng.uniform(-0.8, 0.9)
    else:
        heading = float(rng.normal(0, 0.15)) + (np.pi if rng.random() < 0.5 else 0.0)
        when, span = frames // 2, min(town.front - 0.8, 9.0)
        spot = feet.mean(0)[:2] - toward * rng.uniform(1.0, 14.0) + [float(rng.uniform(-6, 6)), 0.0]
        spot[1] = np.clip(spot[1] + rng.uniform(-2, 2), -span, span)
    start = spot - np.array([np.cos(heading), np.sin(heading)]) * speed * when / FRAME_RATE
    return Walker(person, (float(start[0]), float(start[1]), town.ground(float(spot[1]))), heading, speed)


def sample_occluder(town: Town, camera: CameraTrajectory, feet: Array, rng: np.random.Generator) -> list[Prop]:
    """In two of three videos, one object on the line of sight in some of the frames."""
    if rng.random() > 0.67:
        return []
    spot = feet[int(len(feet) * rng.uniform(0.2, 0.8))]
    toward = camera.positions.mean(0) - spot
    toward = toward[:2] / np.linalg.norm(toward[:2])
    place = spot[:2] + toward * float(rng.uniform(0.9, 2.4))
    kind = str(rng.choice(["lamp_post", "bollard", "sign", "bin", "bench", "tree"]))
    heading = float(np.arctan2(toward[1], toward[0]) + np.pi / 2)
    position = (float(place[0]), float(place[1]), town.ground(float(place[1])))
    return [Prop(kind, int(rng.integers(2**31)), position, heading)]


def occluded_fraction(
    camera: CameraTrajectory, feet: Array, props: tuple[Prop, ...], others: tuple[Walker, ...]
) -> Array:
    """Fraction of the tracked person (F,) in [0, 1] that objects and other walkers occlude."""
    points = occlusion.body_points(camera, feet)
    hits = np.zeros(points.shape[:2], dtype=bool)
    for prop in props:
        hits |= occlusion.is_blocked(camera.positions, points, occlusion.prop_cylinders(prop)).any(-1)
    for other in others:
        hits |= occlusion.is_blocked(camera.positions, points, occlusion.path_cylinders(other.path(len(feet)))).any(-1)
    return np.asarray(hits.mean(1))
