"""Daylight: a sun lamp, a sky with clouds, and automatic exposure."""

from __future__ import annotations

import numpy as np

from skelevision_town import textures
from skelevision_town.plan import Sky
from skelevision_town.shapes import Array


def build_light(sky: Sky) -> None:
    """Add sun and sky to the current scene."""
    import bpy
    from mathutils import Vector

    low = np.clip(1.0 - (sky.elevation - 0.35) / 0.6, 0.0, 1.0)
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy = 4.2 * (1.0 - sky.cloud) ** 0.5 if sky.cloud < 0.8 else 0.35
    lamp.angle = float(np.radians(0.6 + 1.2 * sky.cloud if sky.cloud < 0.8 else 25.0))
    lamp.color = (1.0, 0.95 - 0.10 * low, 0.88 - 0.24 * low)
    sun = bpy.data.objects.new("sun", lamp)
    flat = np.cos(sky.elevation)
    toward = Vector((flat * np.cos(sky.azimuth), flat * np.sin(sky.azimuth), np.sin(sky.elevation)))
    sun.rotation_euler = toward.to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(sun)
    _sky(sky)


def _sky(sky: Sky) -> None:
    """A generated dome: a gradient from the horizon to the zenith, and clouds."""
    import bpy

    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    tree, closed = world.node_tree, sky.cloud > 0.8
    haze = 0.55 + 0.45 * sky.haze
    horizon = np.array([0.80, 0.88, 1.0]) * (0.9 * haze + 0.25)
    zenith = np.array([0.19, 0.33, 0.68]) * (0.7 + 0.5 * haze)
    rng = np.random.default_rng([int(1e6 * sky.azimuth), 3])
    dome = textures.sky_dome(horizon, zenith, sky.cloud, 1.35 if closed else 1.5, rng)
    node = tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = textures.to_image("sky", dome)
    tree.links.new(node.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = 256


def choose_exposure(picture: Array, sheet: Array, brightness: float) -> float:
    """Exposure in stops, as a camera's automatic exposure would choose it.

    Args:
        picture: (H, W, 3) linear preview.
        sheet: (H, W) fraction of each pixel that is green screen, in [0, 1].
        brightness: Target brightness of the picture, in [0, 1].

    Returns:
        Stops that bring the sheet to a max channel of about 0.55 in the finished picture, or, where that is too far
        from what suits the whole scene (or there is no sheet), the nearest that still suits it.
    """
    luminance = picture @ np.array([0.2126, 0.7152, 0.0722])
    shades = luminance[luminance < np.quantile(luminance, 0.9)]
    tone = float(np.exp(np.log(np.maximum(shades, 1e-3)).mean()))
    scene = float(np.log2((0.1 + 0.06 * brightness) / tone))
    if not (sheet > 0.9).any():
        return scene
    green = float(np.median(picture[..., 1][sheet > 0.9]))
    return float(np.clip(np.log2((0.24 + 0.1 * brightness) / green), scene - 0.8, scene + 0.7))
