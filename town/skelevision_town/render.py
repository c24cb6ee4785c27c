"""Renders videos of the town with their annotations: ``python -m skelevision_town.render OUT --seeds 0 20``.

Frames are kept in a work folder until their video is complete, so an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import atomic_write
from armory_skelevision.io.video_files import write_video
from armory_skelevision.validation import InvalidValueError
from skelevision_town import actors, camera, engine, light, screen, street
from skelevision_town.annotations import (
    FrameAnnotation,
    annotate_keypoints,
    box_around_xyxy,
    mesh_vertices,
    screen_corners,
    screen_mask,
)
from skelevision_town.body import Body
from skelevision_town.plan import FRAME_RATE, HEIGHT, WIDTH, VideoPlan
from skelevision_town.sampling import sample_video
from skelevision_town.shapes import Array

SAMPLES = 4  # per pixel; the denoiser does the rest
CRF = 23


def render_video(plan: VideoPlan, folder: str | Path, name: str, samples: int = SAMPLES, percent: int = 100) -> None:
    """Render ``plan`` into ``folder`` as ``name``.mp4 and ``name``.json, unless both exist.

    Args:
        plan: What to render.
        folder: Output folder; created if absent.
        name: File name of the video, without suffix.
        samples: Samples per pixel.
        percent: Size of the frames in percent, for previews. Boxes, keypoints and corners stay in pixels of the full
            size.

    Raises:
        InvalidValueError: If a video of another seed has that name.
    """
    folder = Path(folder)
    if (folder / f"{name}.mp4").is_file() and (folder / f"{name}.json").is_file():
        there = json.loads((folder / f"{name}.json").read_text())["seed"]
        if there != plan.seed:
            raise InvalidValueError(f"{folder / name}.mp4", f"seed {plan.seed}", str(there), "choose another folder")
        return
    work = folder / f".{name}.seed{plan.seed}.frames"
    work.mkdir(parents=True, exist_ok=True)
    missing = [frame for frame in range(plan.frames) if not (work / f"{frame:03d}.json").is_file()]
    if missing:
        _render_frames(plan, work, missing, samples, percent)
    annotation = _merge_annotations(plan, work)
    frames = np.stack([_read_png(work / f"{frame:03d}.png") for frame in range(plan.frames)])
    write_video(folder / f"{name}.mp4", frames, FRAME_RATE, CRF)
    atomic_write(folder / f"{name}.json", json.dumps(annotation).encode())
    shutil.rmtree(work)


def render_split(folder: str | Path, seeds: Iterable[int], frames: int | None = None, samples: int = SAMPLES) -> None:
    """Render one video for each seed: 000, 001, …, in the order of ``seeds``.

    Args:
        folder: Output folder; created if absent.
        seeds: One seed per video.
        frames: Frames of each video, at least 2; None takes 36 to 40, depending on the seed.
        samples: Samples per pixel.

    Raises:
        InvalidValueError: If a video of another seed has the name of one of these.
    """
    from tqdm import tqdm

    for index, seed in enumerate(tqdm(list(seeds), desc="videos", disable=None)):
        render_video(sample_video(seed, frames or 36 + seed * 7 % 5), folder, f"{index:03d}", samples)


def build_scene(plan: VideoPlan, samples: int) -> tuple[Any, Body]:
    """Build everything in ``plan`` with Blender; returns the scene and the tracked person's body."""
    scene = engine.new_scene()
    street.build_town(plan.town, plan.props)
    light.build_light(plan.sky)
    camera.build_camera(plan.camera)
    body = actors.build_walker(plan.walker, plan.frames)
    for other in plan.others:
        actors.build_walker(other, plan.frames)
    if plan.screen is not None:
        screen.build_screen(plan.screen)
    engine.set_engine(scene, samples)
    engine.add_pass(scene, screen.COVERAGE)
    return scene, body


def _render_frames(plan: VideoPlan, work: Path, missing: list[int], samples: int, percent: int) -> None:
    from tqdm import tqdm

    scene, body = build_scene(plan, samples)
    scene.render.resolution_percentage = percent
    engine.set_exposure(scene, plan.frames // 2, plan.sky.brightness, work / "meter")
    for frame in tqdm(missing, desc=f"seed {plan.seed}", leave=False, disable=None):
        channels = engine.render_frame(scene, frame, work / f"{frame:03d}.png", work / "passes.exr")
        coverage = next(values for key, values in channels.items() if f".{screen.COVERAGE}." in key)
        annotation = _annotate(plan, scene, body, frame, coverage)
        atomic_write(work / f"{frame:03d}.json", json.dumps(annotation).encode())


def _annotate(plan: VideoPlan, scene: Any, body: Body, frame: int, coverage: Array) -> FrameAnnotation:
    import bpy

    depsgraph = bpy.context.evaluated_depsgraph_get()
    points = mesh_vertices(body.objects, depsgraph)
    joints = body.keypoints_world(frame)
    return {
        "box_xyxy": box_around_xyxy(plan.camera, frame, points),
        "keypoints": annotate_keypoints(plan.camera, frame, joints, body.objects, scene, depsgraph),
        "gs_coords": screen_corners(plan.camera, frame, plan.screen) if plan.screen else [],
        "mask": screen_mask(coverage),
    }


def _read_png(path: Path) -> NDArray[np.uint8]:
    """An image (H, W, 3) uint8 RGB, by ffmpeg, as Blender's Python has no library of images."""
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["source_size"]
    image = np.frombuffer(next(reader), np.uint8).reshape(height, width, 3)
    reader.close()
    return image


def _merge_annotations(plan: VideoPlan, work: Path) -> dict[str, Any]:
    parts = [json.loads((work / f"{frame:03d}.json").read_text()) for frame in range(plan.frames)]
    head = {"seed": plan.seed, "frame_rate": FRAME_RATE, "width": WIDTH, "height": HEIGHT}
    names = {"boxes_xyxy": "box_xyxy", "keypoints": "keypoints", "gs_coords": "gs_coords", "masks": "mask"}
    return head | {name: [part[key] for part in parts] for name, key in names.items()}


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Render walkers videos.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--seeds", type=int, nargs=2, default=(0, 20), metavar=("FIRST", "END"), help="END is not rendered"
    )
    parser.add_argument("--frames", type=int, default=None, help="frames of each video; by default 36 to 40")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples per pixel")
    arguments = parser.parse_args()
    render_split(arguments.folder, range(*arguments.seeds), arguments.frames, arguments.samples)


if __name__ == "__main__":
    main()
