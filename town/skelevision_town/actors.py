"""People of a plan brought into Blender: who they are, and where they are in every frame."""

from __future__ import annotations

import numpy as np

from skelevision_town.body import Body, Moment
from skelevision_town.person import sample_person
from skelevision_town.plan import FRAME_RATE, Walker


def build_walker(walker: Walker, frames: int) -> Body:
    """Put ``walker`` into the current scene, walking through frames 0 to ``frames`` - 1 and one more at both ends."""
    rng = np.random.default_rng(walker.seed)
    person = sample_person(rng)
    body, first = Body(person), float(rng.uniform())
    step = np.array([np.cos(walker.heading), np.sin(walker.heading), 0.0]) * walker.speed / FRAME_RATE
    pace = walker.speed / FRAME_RATE / person.stride
    body.animate(Moment(frame, np.asarray(walker.start) + frame * step, walker.heading, first + frame * pace)
                 for frame in range(-1, frames + 1))  # fmt: skip
    return body
