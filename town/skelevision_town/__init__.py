"""The simulated town of `walkers`: people, streets, camera, rendering; its fixed videos lie in ``splits/``.

The only place that imports bpy (Blender as a module). `pairs` makes training pairs of rendered people, without it.
"""
