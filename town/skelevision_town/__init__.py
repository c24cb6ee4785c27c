"""Renders the simulated town of the ``walkers`` data set with Blender: videos, people and backgrounds for training.

A video is sampled as plain numbers first (`sampling`, `plan`), then built and rendered (`render`). Blender's module
``bpy`` is imported when something is built, so plans can be sampled without it.
"""
