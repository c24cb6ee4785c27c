"""From a seed to the plan of a video: draw, test, draw again until the tracked person can be seen. Numpy only."""

from __future__ import annotations

import numpy as np

from skelevision_town.camera_placement import framed, sample_camera, sample_screen, screen_serves
from skelevision_town.furniture import furnish, keep_clear
from skelevision_town.pedestrians import hidden_share, sample_occluder, sample_others, walking_speed
from skelevision_town.plan import FRAME_RATE, Sky, Town, VideoPlan, Walker

_TRIES = 400


def sample_video(seed: int, frames: int) -> VideoPlan:
    """Draw a video; equal arguments give equal plans.

    Args:
        seed: of everything in the video.
        frames: how many, at ``FRAME_RATE``; at least 2.

    Returns:
        A plan in which the tracked person is 60 to 200 px tall, inside the frame, never wholly hidden, and walks past
        a green screen.

    Raises:
        ValueError: ``frames`` is too small.
        RuntimeError: no plan was found in the allowed number of tries.
    """
    if frames < 2:
        raise ValueError(f"a video has at least 2 frames, got {frames}")
    for attempt in range(_TRIES):
        plan = _draw(seed, frames, np.random.default_rng([seed, attempt]))
        if plan is not None:
            return plan
    raise RuntimeError(f"no plan for seed {seed} with {frames} frames in {_TRIES} tries; take another seed")


def sample_town(rng: np.random.Generator, kinds: tuple[float, float, float] = (0.6, 0.22, 0.18)) -> Town:
    """A ground plan; ``kinds`` are the chances of street, square and park."""
    kind = str(rng.choice(["street", "square", "park"], p=kinds))
    seed = int(rng.integers(2**31))
    if kind == "street":
        road = float(rng.uniform(2.9, 4.2))
        return Town(kind, seed, road, road + float(rng.uniform(3.0, 4.4)))
    if kind == "square":
        return Town(kind, seed, 0.0, float(rng.uniform(12.0, 22.0)))
    return Town(kind, seed, float(rng.uniform(1.4, 2.2)), float(rng.uniform(22.0, 32.0)))


def sample_sky(rng: np.random.Generator) -> Sky:
    """Sun between 22 and 62 degrees high, one sky in four overcast."""
    cloud = float(rng.uniform(0.85, 1.0)) if rng.random() < 0.25 else float(rng.uniform(0.0, 0.55))
    azimuth, elevation = float(rng.uniform(0, 2 * np.pi)), float(np.radians(rng.uniform(22, 62)))
    return Sky(azimuth, elevation, cloud, float(rng.uniform(0, 1)), float(rng.uniform(0.0, 1.0)))


def _draw(seed: int, frames: int, rng: np.random.Generator) -> VideoPlan | None:
    town, sky = sample_town(rng), sample_sky(rng)
    walker = _tracked(town, frames, rng)
    feet = walker.path(frames)
    camera = sample_camera(town, feet, rng)
    if camera is None or not framed(camera, feet):
        return None
    screen = sample_screen(camera, feet, walker, rng)
    if not screen_serves(camera, screen, feet) or abs(max(screen.corners()[:, 1], key=abs)) > town.front - 0.15:
        return None
    others = sample_others(town, camera, walker, screen, frames, rng)
    near, around = sample_occluder(town, camera, feet, rng), furnish(town, rng)
    props = keep_clear(near + around, camera, [w.path(frames) for w in (walker, *others)], screen)
    hidden = hidden_share(camera, feet, props, others)
    if hidden.max() > 0.7 or hidden.mean() > 0.2 or len(others) < 2:
        return None
    return VideoPlan(seed, frames, sky, town, camera, walker, others, props, screen)


def _tracked(town: Town, frames: int, rng: np.random.Generator) -> Walker:
    """The person to follow: on a pavement, in the road, over a square or along a path."""
    person = int(rng.integers(2**31))
    length, speed = frames / FRAME_RATE, walking_speed(person, rng)
    lean = float(np.radians(rng.uniform(-12, 12)))
    if town.kind == "street" and rng.random() < 0.7:
        y = town.road_half + (town.front - town.road_half) * float(rng.uniform(0.3, 0.5))
        lean *= 0.4
    elif town.kind == "street":
        y, lean = float(rng.uniform(-0.5, 0.6)) * town.road_half, lean * 1.5
    else:
        y = float(rng.uniform(-0.4, 0.4)) if town.kind == "park" else float(rng.uniform(-3.0, 4.0))
        lean *= 2.5 if town.kind == "square" else 0.3
    heading = lean + (np.pi if rng.random() < 0.5 else 0.0)
    middle = np.array([float(rng.uniform(-6, 6)), y])
    start = middle - np.array([np.cos(heading), np.sin(heading)]) * speed * length / 2
    return Walker(person, (float(start[0]), float(start[1]), town.ground(y)), float(heading), speed)
