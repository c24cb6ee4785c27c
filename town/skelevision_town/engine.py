"""Cycles settings, exposure from a preview, and one rendered frame on disk.

Few samples and a denoiser: outdoors the sun does most of the work, and after one bounce the rest of the light is
taken as ambient ("fast GI"), which halves the time of a frame.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from skelevision_town import light
from skelevision_town.exr import read_exr
from skelevision_town.plan import HEIGHT, WIDTH
from skelevision_town.screen import COVERAGE
from skelevision_town.shapes import Array

SHUTTER = 0.32  # of the time between two frames


def new_scene() -> Any:
    """Empty Blender's file and return its scene."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


def set_engine(scene: Any, samples: int, threads: int = 2) -> None:
    """Choose Cycles on the CPU, with ``samples`` per pixel and motion blur."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", threads
    render.use_motion_blur, render.motion_blur_shutter, render.motion_blur_position = True, SHUTTER, "CENTER"
    cycles.device, cycles.samples, cycles.use_adaptive_sampling, cycles.use_light_tree = "CPU", samples, False, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 2, 4
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 3.0
    cycles.use_fast_gi, cycles.fast_gi_method, cycles.ao_bounces_render = True, "REPLACE", 1
    scene.world.light_settings.distance, scene.world.light_settings.ao_factor = 8.0, 0.6
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_quality, cycles.denoising_prefilter = "FAST", "FAST"
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"


def add_pass(scene: Any, name: str) -> None:
    """Add a render pass that holds the value which materials output under ``name``."""
    entry = scene.view_layers[0].aovs.add()
    entry.name, entry.type = name, "VALUE"


def _save(scene: Any, path: Path, kind: str) -> None:
    import bpy

    settings = scene.render.image_settings
    if kind == "EXR":
        settings.media_type, settings.file_format = "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER"
        settings.color_depth, settings.exr_codec = "32", "NONE"
    else:
        settings.media_type, settings.file_format = "IMAGE", kind
        settings.color_mode, settings.quality = "RGB", 92
        if kind == "PNG":
            settings.color_depth, settings.compression = "8", 30
    bpy.data.images["Render Result"].save_render(str(path), scene=scene)


def render_frame(scene: Any, frame: int, path: Path, passes: Path | None = None) -> dict[str, Array]:
    """Render ``frame`` to ``path``, a .png or .jpg, atomically.

    Args:
        scene: Blender's scene with camera, light and engine set.
        frame: Blender's frame number.
        path: The picture's file.
        passes: Temporary file for the render passes; None reads none.

    Returns:
        (H, W) float64 values by channel name; empty without ``passes``.
    """
    import bpy

    scene.frame_set(frame)
    bpy.ops.render.render()
    channels: dict[str, Array] = {}
    if passes is not None:
        _save(scene, passes, "EXR")
        channels = read_exr(passes)
        passes.unlink()
    temporary = path.with_name(f"{path.stem}.part{path.suffix}")
    _save(scene, temporary, "PNG" if path.suffix == ".png" else "JPEG")
    os.replace(temporary, path)
    return channels


def set_exposure(scene: Any, frame: int, brightness: float, scratch: Path) -> None:
    """Set the exposure from a small preview of ``frame``, like a camera's light meter."""
    render, cycles = scene.render, scene.cycles
    keep = (render.resolution_x, render.resolution_y, cycles.samples)
    render.use_persistent_data = False
    render.resolution_x, render.resolution_y, cycles.samples = WIDTH // 8, HEIGHT // 8, 8
    channels = render_frame(scene, frame, scratch.with_suffix(".png"), scratch.with_suffix(".exr"))
    scratch.with_suffix(".png").unlink()
    render.resolution_x, render.resolution_y, cycles.samples = keep
    picture = np.stack([next(v for k, v in channels.items() if k.endswith(f"Combined.{c}")) for c in "RGB"], axis=-1)
    sheet = next((v for k, v in channels.items() if f".{COVERAGE}." in k), np.zeros(picture.shape[:2]))
    scene.view_settings.exposure = light.choose_exposure(picture, sheet, brightness)
    render.use_persistent_data = True
