"""The plan's camera as a Blender camera with a key on every frame, so that its motion blurs."""

from __future__ import annotations

from typing import Any

from skelevision_town.plan import HEIGHT, WIDTH, Camera


def build_camera(camera: Camera) -> Any:
    """Put ``camera`` into the current scene; frame i of the plan is Blender's frame i."""
    import bpy
    from mathutils import Matrix

    scene, lens = bpy.context.scene, bpy.data.cameras.new("camera")
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = camera.focal * 36.0 / WIDTH
    lens.clip_end = 1000.0
    thing = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(thing)
    scene.camera = thing
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    thing.rotation_mode, before = "QUATERNION", None
    for frame, (position, turn) in enumerate(zip(camera.positions, camera.turns, strict=True)):
        spin = Matrix(turn.tolist()).to_quaternion()
        if before is not None:
            spin.make_compatible(before)
        before = spin
        thing.location, thing.rotation_quaternion = position, spin
        thing.keyframe_insert("location", frame=frame)
        thing.keyframe_insert("rotation_quaternion", frame=frame)
    return thing
