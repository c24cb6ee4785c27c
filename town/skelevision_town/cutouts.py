"""People for training: cut-outs with joints, ``people/`` of the training store.

Every person is rendered in several views: the same clothes and light, another moment of the gait, the body and the
camera turned a little. Run: ``python -m skelevision_town.cutouts STORE --people 500`` (``--val`` for the
second, differently made world).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skelevision_town import annotations, engine, light
from skelevision_town.body import Body, Moment
from skelevision_town.person import Person, sample_cloth, sample_person
from skelevision_town.plan import look
from skelevision_town.sampling import sample_sky
from skelevision_town.shapes import Array

TRAIN_SEED, VAL_SEED = 1_000_000, 2_000_000
VIEWS = 6
MARGIN = 4  # px around the figure
_SAMPLES = 10
_SPACING = 10  # frames between views, so that no pose leaks into the next


class View(NamedTuple):
    """A camera that frames one figure tightly."""

    eye: Array
    turn: Array
    """(3, 3), camera to world axes."""
    scale: float
    """Pixels per unit of tangent."""
    centre: tuple[float, float]
    """Tangents of the picture's middle."""
    size: tuple[int, int]
    """Width and height in pixels."""

    def project(self, points: Array) -> Array:
        """World points (n, 3) to pixels (n, 2)."""
        tangents = _tangents(points, self.eye, self.turn)
        x = self.size[0] / 2 + (tangents[:, 0] - self.centre[0]) * self.scale
        y = self.size[1] / 2 - (tangents[:, 1] - self.centre[1]) * self.scale
        return np.stack([x, y], axis=1)


def render_people(store: str | Path, people: int, val: bool = False) -> None:
    """Render persons 0 to ``people`` - 1 into ``store``; those listed in people.jsonl already are left alone.

    Args:
        store: Folder of the training store; made if need be.
        people: How many.
        val: The second world: other builds and clothes, a lower sun.
    """
    from tqdm import tqdm

    store = Path(store)
    (store / "people").mkdir(parents=True, exist_ok=True)
    listing = store / "people.jsonl"
    done = {(entry["person"], entry["view"]) for entry in _read_entries(listing)}
    for number in tqdm(range(people), desc="people", disable=None):
        missing = [view for view in range(VIEWS) if (number, view) not in done]
        if not missing:
            continue
        for entry in render_person(store, number, missing, val):
            with listing.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def _read_entries(listing: Path) -> list[dict[str, Any]]:
    """What was rendered so far; a line that a killed run left half-written is cut off."""
    if not listing.is_file():
        return []
    text = listing.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        listing.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def render_person(store: Path, number: int, views: list[int], val: bool) -> Iterator[dict[str, Any]]:
    """Render one person's views and yield a line of people.jsonl for each."""
    import bpy

    rng = np.random.default_rng([VAL_SEED if val else TRAIN_SEED, number])
    person = sample_person(rng)
    sky = sample_sky(rng)
    if val:
        person = _vary(person, rng)
        sky = replace(sky, elevation=float(np.radians(rng.uniform(11, 21))), haze=1.0)
    scene = engine.new_scene()
    light.build_light(sky)
    _bounce_light(rng)
    engine.set_engine(scene, _SAMPLES)
    scene.render.use_motion_blur = False
    scene.render.film_transparent = True
    body = Body(person, walking=bool(rng.random() < 0.85))
    heading, raised = rng.uniform(0, 2 * np.pi), np.arcsin(rng.uniform(0.0, 0.8))
    body.animate(
        Moment(_SPACING * view, (0.0, 0.0, 0.0), heading + float(rng.normal(0, 0.25)), float(rng.random()))
        for view in range(VIEWS)
    )
    cameras = [_sample_eye(rng, raised) for _ in range(VIEWS)]
    tall = rng.uniform(160, 256)
    brightness = float(rng.uniform(-0.6, 1.6))
    for view in views:
        scene.frame_set(_SPACING * view)
        points = annotations.mesh_points(body.objects, bpy.context.evaluated_depsgraph_get())
        framed = _frame(cameras[view], points, tall)
        _set_camera(scene, framed)
        scene.view_settings.exposure = brightness
        file = f"people/{number:05d}_{view:02d}.png"
        _render(scene, store / file)
        yield _describe(file, number, view, framed, points, body, scene)


def _describe(file: str, number: int, view: int, framed: View, points: Array, body: Body, scene: Any) -> dict[str, Any]:
    outline = framed.project(points)
    (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
    joints = body.keypoints_world(_SPACING * view)
    hidden = [
        _is_hidden(joint, depth, framed.eye, scene) for joint, depth in zip(joints, annotations.DEPTHS, strict=True)
    ]
    keypoints = [
        [round(float(x), 2), round(float(y), 2), 1 if covered else 2]
        for (x, y), covered in zip(framed.project(joints), hidden, strict=True)
    ]
    box_xyxy = [round(float(value), 2) for value in (x1, y1, x2, y2)]
    return {"file": file, "person": number, "view": view, "box_xyxy": box_xyxy, "keypoints": keypoints}


def _vary(person: Person, rng: np.random.Generator) -> Person:
    """A figure from outside the range of the first world."""
    return replace(
        person,
        girth=float(rng.uniform(1.15, 1.5)) if rng.random() < 0.5 else float(rng.uniform(0.72, 0.85)),
        top=sample_cloth(rng, plain=0.2, dark=0.15),
        bottom=sample_cloth(rng, plain=0.5, dark=0.3),
        hat=str(rng.choice(["cap", "hood"])),
    )


def _bounce_light(rng: np.random.Generator) -> None:
    """The ground's light from below, and none of its picture."""
    import bpy

    from skelevision_town.cloth import plain_material

    bpy.ops.mesh.primitive_plane_add(size=40)
    ground = bpy.context.object
    ground.visible_camera = False
    value = float(rng.uniform(0.08, 0.5))
    ground.data.materials.append(plain_material("ground", (value, value, 0.92 * value), 0.9))


def _sample_eye(rng: np.random.Generator, raised: float) -> Array:
    """A camera place around the origin; ``raised`` is the angle above the person's middle, radians."""
    azimuth, angle = float(rng.normal(0, 0.15)), raised + float(rng.normal(0, 0.06))
    distance = float(rng.uniform(5, 25))
    flat = np.cos(angle) * distance
    height = max(0.4, 0.9 + np.sin(angle) * distance)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), height])


def _frame(eye: Array, points: Array, tall: float) -> View:
    """Look at the figure so that it is ``tall`` pixels high and its margin fills the picture."""
    turn = look(eye, points.mean(axis=0))
    tangents = _tangents(points, eye, turn)
    low, high = tangents.min(axis=0), tangents.max(axis=0)
    scale = tall / (high[1] - low[1])
    width, height = (int(np.ceil(extent * scale)) + 2 * MARGIN for extent in high - low)
    return View(eye, turn, scale, tuple((low + high) / 2), (width, height))


def _tangents(points: Array, eye: Array, turn: Array) -> Array:
    local = (points - eye) @ turn
    return local[:, :2] / -local[:, 2:]


def _set_camera(scene: Any, view: View) -> None:
    import bpy
    from mathutils import Matrix

    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)
    width, height = view.size
    scene.render.resolution_x, scene.render.resolution_y = width, height
    lens = scene.camera.data
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = 36.0 * view.scale / width
    lens.shift_x, lens.shift_y = (tangent * view.scale / width for tangent in view.centre)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = view.turn, view.eye
    scene.camera.matrix_world = Matrix(matrix.tolist())


def _is_hidden(joint: Array, depth: float, eye: Array, scene: Any) -> bool:
    """Whether the body hides a joint: the first surface on the way to it lies more than ``depth`` before it."""
    import bpy
    from mathutils import Vector

    reach = float(np.linalg.norm(joint - eye))
    ray = Vector(((joint - eye) / reach).tolist())
    hit, place, *_ = scene.ray_cast(bpy.context.evaluated_depsgraph_get(), Vector(eye.tolist()), ray, distance=reach)
    return bool(hit) and reach - float(np.linalg.norm(np.array(place) - eye)) > depth


def _render(scene: Any, path: Path) -> None:
    import bpy

    settings = scene.render.image_settings
    settings.media_type, settings.file_format = "IMAGE", "PNG"
    settings.color_mode, settings.color_depth, settings.compression = "RGBA", "8", 30
    half_done = path.with_name(path.stem + ".part.png")
    bpy.ops.render.render()
    bpy.data.images["Render Result"].save_render(str(half_done), scene=scene)
    os.replace(half_done, path)


def main() -> None:
    """The command line: which store, how many people, which world."""
    parser = argparse.ArgumentParser(description="Render people for training.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--val", action="store_true", help="the second, differently made world")
    choice = parser.parse_args()
    render_people(choice.store, choice.people, choice.val)


if __name__ == "__main__":
    main()
