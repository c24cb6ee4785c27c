"""The plan's camera as a Blender camera, keyframed on every frame so that its motion blurs the picture."""

from __future__ import annotations

from typing import Any

from skelevision_town.plan import HEIGHT, WIDTH, CameraTrajectory


def build_camera(camera: CameraTrajectory) -> Any:
    """Add ``camera`` to the current scene; frame i of the plan is Blender's frame i."""
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
    for frame, (position, rotation) in enumerate(zip(camera.positions, camera.rotations, strict=True)):
        spin = Matrix(rotation.tolist()).to_quaternion()
        if before is not None:
            spin.make_compatible(before)
        before = spin
        thing.location, thing.rotation_quaternion = position, spin
        thing.keyframe_insert("location", frame=frame)
        thing.keyframe_insert("rotation_quaternion", frame=frame)
    return thing
