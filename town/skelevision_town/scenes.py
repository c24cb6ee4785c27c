"""Backgrounds, ``scenes/`` of a training store: ``python -m skelevision_town.scenes STORE --count 260``.

Each is a still view of a town without a tracked person. ``--val`` samples from other ranges, for validation.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from skelevision_town import actors, engine, light, materials, occlusion, screen, street
from skelevision_town.camera import build_camera
from skelevision_town.furniture import sample_props
from skelevision_town.plan import CameraTrajectory, GreenScreen, Prop, Sky, Town, Walker, look_at
from skelevision_town.sampling import sample_sky, sample_town
from skelevision_town.shapes import Array

TRAIN_SEED, VAL_SEED = 1_000_000, 2_000_000
VIEWS = 3  # of every town
_SAMPLES = 5


def sample_viewpoint(town: Town, props: list[Prop], rng: np.random.Generator) -> CameraTrajectory:
    """Sample a still camera 1.5 to 15 m above the ground, clear of all objects, that looks slightly or steeply down.

    Raises:
        RuntimeError: If there is no free place.
    """
    for _ in range(200):
        height = float(np.exp(rng.uniform(np.log(1.5), np.log(15.0))))
        reach = town.front - 1.0
        eye = np.array([rng.uniform(-25, 25), rng.uniform(-reach, reach), height])
        gap = float(np.exp(rng.uniform(np.log(max(6.0, 0.9 * height)), np.log(45.0))))
        turn = rng.uniform(0, 2 * np.pi)
        target = eye + np.array([np.cos(turn) * gap, np.sin(turn) * gap, 0.0])
        target[2] = rng.uniform(0.0, 2.0)
        if town.kind == "street" and abs(target[1]) > town.front + 1.0:
            continue
        if all(_outside(eye, prop) for prop in props):
            focal = float(rng.uniform(450, 1100))
            return CameraTrajectory(focal, eye[None], look_at(eye, target, float(np.radians(rng.normal(0, 1.2))))[None])
    raise RuntimeError(f"no free place for a camera in the {town.kind} of seed {town.seed}")


def _outside(eye: Array, prop: Prop) -> bool:
    """Whether a camera at ``eye`` (3,) keeps its distance from an object."""
    for x, y, radius, low, high in occlusion.prop_cylinders(prop):
        if low - 0.5 < eye[2] < high + 0.5 and np.hypot(eye[0] - x, eye[1] - y) < radius + 1.2:
            return False
    return True


def horizon(camera: CameraTrajectory) -> float:
    """Y of the horizon, pixels; may lie outside of the picture."""
    ahead = -camera.rotations[0, :, 2] * [1.0, 1.0, 0.0]
    return float(camera.project(camera.positions[0] + 1e6 * ahead / np.linalg.norm(ahead), 0)[1])


def _sample_distant_people(town: Town, camera: CameraTrajectory, rng: np.random.Generator) -> list[Walker]:
    """Up to five people, 14 to 45 m away."""
    people = []
    for _ in range(int(rng.integers(0, 6))):
        ahead, gap = -camera.rotations[0, :, 2], float(rng.uniform(14, 45))
        spot = camera.positions[0] + ahead / np.hypot(*ahead[:2]) * gap + [0.0, float(rng.uniform(-4, 4)), 0.0]
        if abs(spot[1]) < town.front - 1.0:
            start = (float(spot[0]), float(spot[1]), town.ground(float(spot[1])))
            people.append(Walker(int(rng.integers(2**31)), start, float(rng.uniform(0, 2 * np.pi)), 1.3))
    return people


def _add_poster(camera: CameraTrajectory, rng: np.random.Generator) -> None:
    """Add a poster of any colour, 8 to 18 m away."""
    ahead = -camera.rotations[0, :, 2]
    spot = camera.positions[0] + ahead / np.hypot(*ahead[:2]) * float(rng.uniform(8, 18))
    turn = float(np.arctan2(ahead[1], ahead[0]) - np.pi / 2 + rng.normal(0, 0.5))
    wide, high = (float(v) for v in rng.uniform([1.5, 1.4], [3.0, 2.4]))
    sheet = screen.build_screen(GreenScreen((float(spot[0]), float(spot[1]), 0.15), turn, wide, high))
    sheet.data.materials[0] = materials.blotched("poster", rng.uniform(0.02, 0.7, 3), float(rng.uniform(0.5, 3.0)))


def _sample_world(rng: np.random.Generator, val: bool) -> tuple[Town, Sky]:
    """Town and sky; for validation there are no streets and the sun is lower."""
    if not val:
        return sample_town(rng), sample_sky(rng)
    town, sky = sample_town(rng, (0.0, 0.55, 0.45)), sample_sky(rng)
    low, brightness = float(np.radians(rng.uniform(11, 21))), float(rng.uniform(-0.5, 1.4))
    return town, replace(sky, elevation=low, haze=1.0, brightness=brightness)


def render_town(store: Path, seed: int, numbers: list[int], val: bool, people: bool) -> None:
    """Render views of one town and append an entry for each to ``scenes.jsonl``.

    Args:
        store: Folder of the training store.
        seed: Seed of the town.
        numbers: Numbers of the views; each seeds its view.
        val: Whether to sample for validation.
        people: Whether distant people may appear.
    """
    for number in numbers:
        rng = np.random.default_rng([seed, 0])
        town, sky = _sample_world(rng, val)
        props = sample_props(town, rng)
        view = np.random.default_rng([seed, number])
        camera = sample_viewpoint(town, props, view)
        if number == numbers[0]:
            scene = engine.new_scene()
            street.build_town(town, props)
            light.build_light(sky)
            engine.set_engine(scene, _SAMPLES)
            scene.render.use_motion_blur = False
        build_camera(camera)
        lasting = set(scene.objects)
        for walker in _sample_distant_people(town, camera, view) if people else []:
            actors.build_walker(walker, 2)
        if view.random() < 0.15:
            _add_poster(camera, view)
        engine.set_exposure(scene, 0, sky.brightness, store / ".meter")
        file = f"scenes/{number:05d}.jpg"
        engine.render_frame(scene, 0, store / file)
        with (store / "scenes.jsonl").open("a") as lines:
            lines.write(json.dumps({"file": file, "horizon": round(horizon(camera), 1)}) + "\n")
        _remove(set(scene.objects) - lasting)


def _remove(things: set[Any]) -> None:
    """Remove objects from Blender's file, so that the next view of the town does not show them."""
    import bpy

    for thing in things:
        bpy.data.objects.remove(thing)


def render_scenes(store: str | Path, count: int, val: bool = False, people: bool = True) -> None:
    """Render scenes 0 to ``count`` - 1 into ``store``, except those that ``scenes.jsonl`` lists already.

    Args:
        store: Folder of the training store; created if absent.
        count: Number of scenes.
        val: Whether to sample for validation.
        people: Whether distant people may appear.
    """
    from tqdm import tqdm

    store = Path(store)
    (store / "scenes").mkdir(parents=True, exist_ok=True)
    listing = store / "scenes.jsonl"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    done = {json.loads(line)["file"] for line in lines}
    missing = [n for n in range(count) if f"scenes/{n:05d}.jpg" not in done]
    bar = tqdm(total=count, initial=count - len(missing), desc="scenes", disable=None)
    for number in range(0, count, VIEWS):
        batch = [n for n in range(number, min(number + VIEWS, count)) if n in missing]
        if batch:
            render_town(store, (VAL_SEED if val else TRAIN_SEED) + number // VIEWS, batch, val, people)
            bar.update(len(batch))


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Render backgrounds for training.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--count", type=int, default=260, help="number of scenes")
    parser.add_argument("--val", action="store_true", help="scenes for validation, sampled from other ranges")
    parser.add_argument("--no-people", action="store_true", help="leave out distant people")
    arguments = parser.parse_args()
    render_scenes(arguments.store, arguments.count, arguments.val, not arguments.no_people)


if __name__ == "__main__":
    main()
