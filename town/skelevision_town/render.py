"""Renders videos of the town with their ground truth: ``python -m skelevision_town.render OUT --seeds 0 20``.

Every frame is kept in a work folder until its video is whole, so a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision.datasets import video_files
from skelevision_town import actors, annotations, camera, engine, light, screen, street
from skelevision_town.body import Body
from skelevision_town.plan import FRAME_RATE, HEIGHT, WIDTH, VideoPlan
from skelevision_town.sampling import sample_video
from skelevision_town.shapes import Array

SAMPLES = 4  # per pixel; the denoiser does the rest
CRF = 23


def render_video(plan: VideoPlan, folder: str | Path, name: str, samples: int = SAMPLES, percent: int = 100) -> None:
    """Render ``plan`` into ``folder`` as ``name``.mp4 and ``name``.json; nothing is done if both are there.

    Args:
        plan: what to render.
        folder: created if need be.
        name: of the video, without an ending.
        samples: per pixel.
        percent: of the full size, for tries; boxes, joints and corners stay in pixels of the full size.

    Raises:
        ValueError: If a video of another seed has that name.
    """
    folder = Path(folder)
    if (folder / f"{name}.mp4").is_file() and (folder / f"{name}.json").is_file():
        there = json.loads((folder / f"{name}.json").read_text())["seed"]
        if there != plan.seed:
            raise ValueError(f"{folder / name}.mp4 is of seed {there}, not {plan.seed}: choose another folder")
        return
    work = folder / f".{name}.seed{plan.seed}.frames"
    work.mkdir(parents=True, exist_ok=True)
    missing = [frame for frame in range(plan.frames) if not (work / f"{frame:03d}.json").is_file()]
    if missing:
        _render_frames(plan, work, missing, samples, percent)
    annotation = _gather(plan, work)
    frames = np.stack([video_files.read_png(work / f"{frame:03d}.png") for frame in range(plan.frames)])
    video_files.write_video(folder / f"{name}.mp4", frames, FRAME_RATE, CRF)
    _write_text(folder / f"{name}.json", json.dumps(annotation))
    shutil.rmtree(work)


def render_split(folder: str | Path, seeds: Iterable[int], frames: int | None = None, samples: int = SAMPLES) -> None:
    """Render one video for every seed: 000, 001, …, in the order of ``seeds``.

    Args:
        folder: created if need be.
        seeds: of the videos.
        frames: of every video; by default 36 to 40, depending on the seed.
        samples: per pixel.
    """
    from tqdm import tqdm

    for index, seed in enumerate(tqdm(list(seeds), desc="videos", disable=None)):
        render_video(sample_video(seed, frames or 36 + seed * 7 % 5), folder, f"{index:03d}", samples)


def build_scene(plan: VideoPlan, samples: int) -> tuple[Any, Body]:
    """Build everything in ``plan``; returns the scene and the tracked person."""
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
    engine.expose_scene(scene, plan.frames // 2, plan.sky.brightness, work / "meter")
    for frame in tqdm(missing, desc=f"seed {plan.seed}", leave=False, disable=None):
        channels = engine.render_frame(scene, frame, work / f"{frame:03d}.png", work / "passes.exr")
        coverage = next(values for key, values in channels.items() if f".{screen.COVERAGE}." in key)
        _write_text(work / f"{frame:03d}.json", json.dumps(_annotate(plan, scene, body, frame, coverage)))


def _annotate(plan: VideoPlan, scene: Any, body: Body, frame: int, coverage: Array) -> annotations.FrameTruth:
    import bpy

    depsgraph = bpy.context.evaluated_depsgraph_get()
    points = annotations.mesh_points(body.objects, depsgraph)
    joints = body.keypoints_world(frame)
    return {
        "box_xyxy": annotations.box_around_xyxy(plan.camera, frame, points),
        "keypoints": annotations.see_joints(plan.camera, frame, joints, body.objects, scene, depsgraph),
        "gs_coords": annotations.screen_corners(plan.camera, frame, plan.screen) if plan.screen else [],
        "mask": annotations.screen_mask(coverage),
    }


def _gather(plan: VideoPlan, work: Path) -> dict[str, Any]:
    parts = [json.loads((work / f"{frame:03d}.json").read_text()) for frame in range(plan.frames)]
    head = {"seed": plan.seed, "frame_rate": FRAME_RATE, "width": WIDTH, "height": HEIGHT}
    names = {"boxes_xyxy": "box_xyxy", "keypoints": "keypoints", "gs_coords": "gs_coords", "masks": "mask"}
    return head | {name: [part[key] for part in parts] for name, key in names.items()}


def _write_text(path: Path, text: str) -> None:
    half_done = path.with_suffix(".part")
    half_done.write_text(text)
    os.replace(half_done, path)


def main() -> None:
    """The command line: where to, which seeds, how many frames."""
    parser = argparse.ArgumentParser(description="Render walkers videos.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 20), metavar=("FIRST", "END"))
    parser.add_argument("--frames", type=int, default=None, help="of every video; by default 36 to 40")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    choice = parser.parse_args()
    render_split(choice.folder, range(*choice.seeds), choice.frames, choice.samples)


if __name__ == "__main__":
    main()
