"""Backgrounds for training: views of further towns without a tracked person, ``scenes/`` of the training store.

Run ``python -m skelevision_town.scenes STORE --count 260``; ``--val`` makes the second, different world.
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
from skelevision_town.furniture import furnish
from skelevision_town.plan import Camera, Prop, Screen, Sky, Town, Walker, look
from skelevision_town.sampling import sample_sky, sample_town
from skelevision_town.shapes import Array

TRAIN_SEED, VAL_SEED = 1_000_000, 2_000_000
VIEWS = 3  # of every town
_SAMPLES = 5


def sample_view(town: Town, props: list[Prop], rng: np.random.Generator) -> Camera:
    """A still camera 1.5 to 15 m high somewhere in the open, looking slightly or steeply down."""
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
            return Camera(focal, eye[None], look(eye, target, float(np.radians(rng.normal(0, 1.2))))[None])
    raise RuntimeError(f"no free place for a camera in the {town.kind} of seed {town.seed}")


def _outside(eye: Array, prop: Prop) -> bool:
    """Whether a camera at ``eye`` keeps its distance from a thing."""
    for x, y, radius, low, high in occlusion.solids(prop):
        if low - 0.5 < eye[2] < high + 0.5 and np.hypot(eye[0] - x, eye[1] - y) < radius + 1.2:
            return False
    return True


def horizon(camera: Camera) -> float:
    """Height of the horizon in the picture, px; may lie outside of it."""
    ahead = -camera.turns[0, :, 2] * [1.0, 1.0, 0.0]
    return float(camera.project(camera.positions[0] + 1e6 * ahead / np.linalg.norm(ahead), 0)[1])


def _distant(town: Town, camera: Camera, rng: np.random.Generator) -> list[Walker]:
    """Up to five people, 14 to 45 m away."""
    people = []
    for _ in range(int(rng.integers(0, 6))):
        ahead, gap = -camera.turns[0, :, 2], float(rng.uniform(14, 45))
        spot = camera.positions[0] + ahead / np.hypot(*ahead[:2]) * gap + [0.0, float(rng.uniform(-4, 4)), 0.0]
        if abs(spot[1]) < town.front - 1.0:
            start = (float(spot[0]), float(spot[1]), town.ground(float(spot[1])))
            people.append(Walker(int(rng.integers(2**31)), start, float(rng.uniform(0, 2 * np.pi)), 1.3))
    return people


def _board(camera: Camera, rng: np.random.Generator) -> None:
    """A sheet or poster of any colour some metres away."""
    ahead = -camera.turns[0, :, 2]
    spot = camera.positions[0] + ahead / np.hypot(*ahead[:2]) * float(rng.uniform(8, 18))
    turn = float(np.arctan2(ahead[1], ahead[0]) - np.pi / 2 + rng.normal(0, 0.5))
    wide, high = (float(v) for v in rng.uniform([1.5, 1.4], [3.0, 2.4]))
    sheet = screen.build_screen(Screen((float(spot[0]), float(spot[1]), 0.15), turn, wide, high))
    sheet.data.materials[0] = materials.blotched("poster", rng.uniform(0.02, 0.7, 3), float(rng.uniform(0.5, 3.0)))


def _sample_world(rng: np.random.Generator, val: bool) -> tuple[Town, Sky]:
    """Town and sky; the second world has no streets and a lower sun."""
    if not val:
        return sample_town(rng), sample_sky(rng)
    town, sky = sample_town(rng, (0.0, 0.55, 0.45)), sample_sky(rng)
    low, brightness = float(np.radians(rng.uniform(11, 21))), float(rng.uniform(-0.5, 1.4))
    return town, replace(sky, elevation=low, haze=1.0, brightness=brightness)


def render_town(store: Path, seed: int, numbers: list[int], val: bool, people: bool) -> None:
    """Render the views ``numbers`` of one town and append a line for each to ``scenes.jsonl``."""
    for number in numbers:
        rng = np.random.default_rng([seed, 0])
        town, sky = _sample_world(rng, val)
        props = furnish(town, rng)
        view = np.random.default_rng([seed, number])
        camera = sample_view(town, props, view)
        if number == numbers[0]:
            scene = engine.new_scene()
            street.build_town(town, props)
            light.build_light(sky)
            engine.set_engine(scene, _SAMPLES)
            scene.render.use_motion_blur = False
        build_camera(camera)
        lasting = set(scene.objects)
        for walker in _distant(town, camera, view) if people else []:
            actors.build_walker(walker, 2)
        if view.random() < 0.15:
            _board(camera, view)
        engine.expose_scene(scene, 0, sky.brightness, store / ".meter")
        file = f"scenes/{number:05d}.jpg"
        engine.render_frame(scene, 0, store / file)
        with (store / "scenes.jsonl").open("a") as lines:
            lines.write(json.dumps({"file": file, "horizon": round(horizon(camera), 1)}) + "\n")
        _remove(set(scene.objects) - lasting)


def _remove(things: set[Any]) -> None:
    """Take ``things`` out of Blender's file, so that the next view of the town does not show them."""
    import bpy

    for thing in things:
        bpy.data.objects.remove(thing)


def render_scenes(store: str | Path, count: int, val: bool = False, people: bool = True) -> None:
    """Render scenes 0 to ``count`` - 1 into ``store``; those that are listed in scenes.jsonl already are left alone."""
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
    """The command line: which store, how many scenes, which world."""
    parser = argparse.ArgumentParser(description="Render backgrounds for training.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--count", type=int, default=260)
    parser.add_argument("--val", action="store_true", help="the second, differently made world")
    parser.add_argument("--no-people", action="store_true")
    choice = parser.parse_args()
    render_scenes(choice.store, choice.count, choice.val, not choice.no_people)


if __name__ == "__main__":
    main()
