"""Walkers of a plan as animated bodies in Blender."""

from __future__ import annotations

import numpy as np

from skelevision_town.body import Body, Keyframe
from skelevision_town.person import sample_person
from skelevision_town.plan import FRAME_RATE, Walker


def build_walker(walker: Walker, frames: int) -> Body:
    """Add ``walker`` to the current scene, animated from frame -1 to ``frames``: one more at each end, for motion blur.

    Args:
        walker: Who walks where.
        frames: Frames of the video.
    """
    rng = np.random.default_rng(walker.seed)
    person = sample_person(rng)
    body, first = Body(person), float(rng.uniform())
    step = np.array([np.cos(walker.heading), np.sin(walker.heading), 0.0]) * walker.speed / FRAME_RATE
    pace = walker.speed / FRAME_RATE / person.stride
    body.animate(Keyframe(frame, np.asarray(walker.start) + frame * step, walker.heading, first + frame * pace)
                 for frame in range(-1, frames + 1))  # fmt: skip
    return body
