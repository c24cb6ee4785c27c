"""Samples the plan of a video from a seed, by rejection: until the tracked person can be seen. NumPy only."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from armory_skelevision.validation import Range, check_value
from skelevision_town.camera_placement import is_screen_in_view, is_well_framed, sample_camera, sample_screen
from skelevision_town.furniture import drop_obstructing_props, sample_props
from skelevision_town.pedestrians import occluded_fraction, sample_occluder, sample_others, walking_speed
from skelevision_town.plan import FRAME_RATE, Sky, Town, VideoPlan, Walker

_MAX_ATTEMPTS = 400


def sample_video(seed: int, frames: int) -> VideoPlan:
    """Sample a video; equal arguments give equal plans.

    Args:
        seed: Seed of everything in the video, at least 0.
        frames: Number of frames at ``FRAME_RATE``, at least 2.

    Returns:
        A plan in which the tracked person is 60 to 200 px tall, inside the frame, never wholly occluded, and walks past
        a green screen.

    Raises:
        InvalidValueError: If ``frames`` is too small.
        RuntimeError: If no plan is found in 400 attempts.
    """
    check_value("frames", frames, Annotated[int, Range(2)])
    for attempt in range(_MAX_ATTEMPTS):
        plan = _sample_plan(seed, frames, np.random.default_rng([seed, attempt]))
        if plan is not None:
            return plan
    raise RuntimeError(f"no plan for seed {seed} with {frames} frames in {_MAX_ATTEMPTS} attempts; take another seed")


def sample_town(rng: np.random.Generator, kinds: tuple[float, float, float] = (0.6, 0.22, 0.18)) -> Town:
    """Sample a ground plan; ``kinds`` are the probabilities of street, square and park."""
    kind = str(rng.choice(["street", "square", "park"], p=kinds))
    seed = int(rng.integers(2**31))
    if kind == "street":
        road = float(rng.uniform(2.9, 4.2))
        return Town(kind, seed, road, road + float(rng.uniform(3.0, 4.4)))
    if kind == "square":
        return Town(kind, seed, 0.0, float(rng.uniform(12.0, 22.0)))
    return Town(kind, seed, float(rng.uniform(1.4, 2.2)), float(rng.uniform(22.0, 32.0)))


def sample_sky(rng: np.random.Generator) -> Sky:
    """Sample a sky: sun 22 to 62 degrees above the horizon, one sky in four overcast."""
    cloud = float(rng.uniform(0.85, 1.0)) if rng.random() < 0.25 else float(rng.uniform(0.0, 0.55))
    azimuth, elevation = float(rng.uniform(0, 2 * np.pi)), float(np.radians(rng.uniform(22, 62)))
    return Sky(azimuth, elevation, cloud, float(rng.uniform(0, 1)), float(rng.uniform(0.0, 1.0)))


def _sample_plan(seed: int, frames: int, rng: np.random.Generator) -> VideoPlan | None:
    town, sky = sample_town(rng), sample_sky(rng)
    walker = _sample_tracked(town, frames, rng)
    feet = walker.path(frames)
    camera = sample_camera(town, feet, rng)
    if camera is None or not is_well_framed(camera, feet):
        return None
    screen = sample_screen(camera, feet, walker, rng)
    if not is_screen_in_view(camera, screen, feet) or abs(max(screen.corners()[:, 1], key=abs)) > town.front - 0.15:
        return None
    others = sample_others(town, camera, walker, screen, frames, rng)
    near, around = sample_occluder(town, camera, feet, rng), sample_props(town, rng)
    props = drop_obstructing_props(near + around, camera, [w.path(frames) for w in (walker, *others)], screen)
    hidden = occluded_fraction(camera, feet, props, others)
    if hidden.max() > 0.7 or hidden.mean() > 0.2 or len(others) < 2:
        return None
    return VideoPlan(seed, frames, sky, town, camera, walker, others, props, screen)


def _sample_tracked(town: Town, frames: int, rng: np.random.Generator) -> Walker:
    """The tracked person: on a pavement, in the road, across a square or along a path."""
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
