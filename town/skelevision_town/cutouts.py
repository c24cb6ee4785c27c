"""Cut-outs of people with keypoints, ``people/`` of a training store: ``python -m skelevision_town.cutouts STORE``.

Each person is rendered in several views, with the same clothes and light: another phase of the gait, the body and the
camera turned a little. ``--val`` samples from other ranges, for validation.
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

from skelevision_town import engine, light
from skelevision_town.annotations import DEPTHS, mesh_vertices
from skelevision_town.body import Body, Keyframe
from skelevision_town.person import PersonTraits, sample_cloth, sample_person
from skelevision_town.plan import look_at
from skelevision_town.sampling import sample_sky
from skelevision_town.shapes import Array

TRAIN_SEED, VAL_SEED = 1_000_000, 2_000_000
VIEWS = 6
MARGIN = 4  # px around the figure
_SAMPLES = 10
_SPACING = 10  # frames between views, so that no pose leaks into the next


class CutoutCamera(NamedTuple):
    """A camera whose picture is one person and a narrow margin."""

    eye: Array
    rotation: Array
    """(3, 3), camera to world axes."""
    scale: float
    """Pixels per unit of tangent."""
    centre: tuple[float, float]
    """Tangents of the picture's middle."""
    size: tuple[int, int]
    """Width and height in pixels."""

    def project(self, points: Array) -> Array:
        """World points (n, 3) to pixels (n, 2)."""
        tangents = _tangents(points, self.eye, self.rotation)
        x = self.size[0] / 2 + (tangents[:, 0] - self.centre[0]) * self.scale
        y = self.size[1] / 2 - (tangents[:, 1] - self.centre[1]) * self.scale
        return np.stack([x, y], axis=1)


def render_people(store: str | Path, people: int, val: bool = False) -> None:
    """Render people 0 to ``people`` - 1 into ``store``, except views that ``people.jsonl`` lists already.

    Args:
        store: Folder of the training store; created if absent.
        people: Number of people.
        val: Whether to sample for validation: other builds and clothes, a lower sun.
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
    """Entries of finished views; an incomplete last line, left by a killed run, is cut off."""
    if not listing.is_file():
        return []
    text = listing.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        listing.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def render_person(store: Path, number: int, views: list[int], val: bool) -> Iterator[dict[str, Any]]:
    """Render the given views of one person, and yield the entry of each for people.jsonl."""
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
        Keyframe(_SPACING * view, (0.0, 0.0, 0.0), heading + float(rng.normal(0, 0.25)), float(rng.random()))
        for view in range(VIEWS)
    )
    eyes = [_sample_eye(rng, raised) for _ in range(VIEWS)]
    tall = rng.uniform(160, 256)
    brightness = float(rng.uniform(-0.6, 1.6))
    for view in views:
        scene.frame_set(_SPACING * view)
        points = mesh_vertices(body.objects, bpy.context.evaluated_depsgraph_get())
        camera = _fit_camera(eyes[view], points, tall)
        _set_camera(scene, camera)
        scene.view_settings.exposure = brightness
        file = f"people/{number:05d}_{view:02d}.png"
        _render(scene, store / file)
        yield _make_entry(file, number, view, camera, points, body, scene)


def _make_entry(
    file: str, number: int, view: int, camera: CutoutCamera, points: Array, body: Body, scene: Any
) -> dict[str, Any]:
    outline = camera.project(points)
    (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
    joints = body.keypoints_world(_SPACING * view)
    hidden = [_is_hidden(joint, depth, camera.eye, scene) for joint, depth in zip(joints, DEPTHS, strict=True)]
    keypoints = [
        [round(float(x), 2), round(float(y), 2), 1 if covered else 2]
        for (x, y), covered in zip(camera.project(joints), hidden, strict=True)
    ]
    box_xyxy = [round(float(value), 2) for value in (x1, y1, x2, y2)]
    return {"file": file, "person": number, "view": view, "box_xyxy": box_xyxy, "keypoints": keypoints}


def _vary(person: PersonTraits, rng: np.random.Generator) -> PersonTraits:
    """Replace some traits by ones that training data do not have."""
    return replace(
        person,
        girth=float(rng.uniform(1.15, 1.5)) if rng.random() < 0.5 else float(rng.uniform(0.72, 0.85)),
        top=sample_cloth(rng, plain=0.2, dark=0.15),
        bottom=sample_cloth(rng, plain=0.5, dark=0.3),
        hat=str(rng.choice(["cap", "hood"])),
    )


def _bounce_light(rng: np.random.Generator) -> None:
    """Add a ground that reflects light from below but is not visible itself."""
    import bpy

    from skelevision_town.cloth import plain_material

    bpy.ops.mesh.primitive_plane_add(size=40)
    ground = bpy.context.object
    ground.visible_camera = False
    value = float(rng.uniform(0.08, 0.5))
    ground.data.materials.append(plain_material("ground", (value, value, 0.92 * value), 0.9))


def _sample_eye(rng: np.random.Generator, raised: float) -> Array:
    """Sample the camera's position around the origin; ``raised`` is its elevation in radians."""
    azimuth, angle = float(rng.normal(0, 0.15)), raised + float(rng.normal(0, 0.06))
    distance = float(rng.uniform(5, 25))
    flat = np.cos(angle) * distance
    height = max(0.4, 0.9 + np.sin(angle) * distance)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), height])


def _fit_camera(eye: Array, points: Array, tall: float) -> CutoutCamera:
    """A camera at ``eye`` in whose picture the points (n, 3) are ``tall`` pixels high."""
    rotation = look_at(eye, points.mean(axis=0))
    tangents = _tangents(points, eye, rotation)
    low, high = tangents.min(axis=0), tangents.max(axis=0)
    scale = tall / (high[1] - low[1])
    width, height = (int(np.ceil(extent * scale)) + 2 * MARGIN for extent in high - low)
    return CutoutCamera(eye, rotation, scale, tuple((low + high) / 2), (width, height))


def _tangents(points: Array, eye: Array, rotation: Array) -> Array:
    local = (points - eye) @ rotation
    return local[:, :2] / -local[:, 2:]


def _set_camera(scene: Any, camera: CutoutCamera) -> None:
    import bpy
    from mathutils import Matrix

    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)
    width, height = camera.size
    scene.render.resolution_x, scene.render.resolution_y = width, height
    lens = scene.camera.data
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = 36.0 * camera.scale / width
    lens.shift_x, lens.shift_y = (tangent * camera.scale / width for tangent in camera.centre)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = camera.rotation, camera.eye
    scene.camera.matrix_world = Matrix(matrix.tolist())


def _is_hidden(joint: Array, depth: float, eye: Array, scene: Any) -> bool:
    """Whether the body hides a joint: the first surface towards it lies more than ``depth`` metres before it."""
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
    temporary = path.with_name(path.stem + ".part.png")
    bpy.ops.render.render()
    bpy.data.images["Render Result"].save_render(str(temporary), scene=scene)
    os.replace(temporary, path)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Render people for training.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--people", type=int, default=500, help="number of people")
    parser.add_argument("--val", action="store_true", help="people for validation, sampled from other ranges")
    arguments = parser.parse_args()
    render_people(arguments.store, arguments.people, arguments.val)


if __name__ == "__main__":
    main()
