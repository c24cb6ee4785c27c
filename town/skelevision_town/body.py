"""A person in Blender, posed and keyframed from `gait`.

The parts are rigid and overlap at the joints. They keep their meshes and only turn and move, so that Cycles builds its
trees once and motion blur comes for free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision.keypoints import KEYPOINTS
from skelevision_town.figure import BodyBuilder, BodyPart
from skelevision_town.gait import pose
from skelevision_town.person import PersonTraits
from skelevision_town.shapes import Array


class Keyframe(NamedTuple):
    """Position and pose of a person in one frame."""

    frame: int
    xyz: Sequence[float] | Array
    """Point on the ground below the pelvis, metres."""
    heading: float
    """Radians from the x axis, anticlockwise."""
    phase: float
    """Cycles of the gait."""


class Body:
    """A person's body in the current scene; `animate` moves it.

    Args:
        person: Traits of the person.
        walking: False for a person who stands.
    """

    def __init__(self, person: PersonTraits, walking: bool = True) -> None:
        self.person = person
        self.walking = walking
        self._parts = BodyBuilder(person).build()
        self._keyframes: dict[int, Keyframe] = {}

    @property
    def objects(self) -> list[Any]:
        """All meshes of the body."""
        return [part.object for part in self._parts]

    def animate(self, keyframes: Iterable[Keyframe]) -> None:
        """Set the keyframes; Blender interpolates linearly between them."""
        for keyframe in keyframes:
            self._keyframes[keyframe.frame] = keyframe
            joints = self._joints_world(keyframe)
            for part in self._parts:
                _pose_part(part, joints)
                for path in ("location", "rotation_quaternion"):
                    part.object.keyframe_insert(path, frame=keyframe.frame)
        for part in self._parts:
            _make_linear(part.object)

    def keypoints_world(self, frame: int) -> Array:
        """COCO's keypoints (17, 3) in world coordinates, metres, at a frame given to `animate`."""
        joints = self._joints_world(self._keyframes[frame])
        return np.stack([joints[name] for name in KEYPOINTS])

    def _joints_world(self, keyframe: Keyframe) -> dict[str, Array]:
        """Joints in the world, the direction "forward", and points straight above the head and below the hand."""
        c, s = np.cos(keyframe.heading), np.sin(keyframe.heading)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        local = pose(self.person, keyframe.phase, self.walking)
        joints = {name: turn @ point + np.asarray(keyframe.xyz, dtype=np.float64) for name, point in local.items()}
        joints["forward"] = turn[:, 0]
        joints["above_head"] = joints["head"] + [0, 0, 1]
        joints["below_hand"] = joints["left_hand"] - [0, 0, 1]
        return joints


def _pose_part(part: BodyPart, joints: dict[str, Array]) -> None:
    from mathutils import Matrix

    z = joints[part.end] - joints[part.start]
    z = z / np.linalg.norm(z)
    x = joints["forward"] - z * (joints["forward"] @ z)
    if np.linalg.norm(x) < 0.2:  # a foot runs forward itself, so that its front is its upper side
        x = np.array([0.0, 0.0, 1.0]) - z * z[2]
    x /= np.linalg.norm(x)
    before = part.object.rotation_quaternion.copy()
    part.object.location = joints[part.start]
    part.object.rotation_quaternion = Matrix(np.stack([x, np.cross(z, x), z], axis=1).tolist()).to_quaternion()
    part.object.rotation_quaternion.make_compatible(before)


def _make_linear(thing: Any) -> None:
    for layer in thing.animation_data.action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                for curve in bag.fcurves:
                    for key in curve.keyframe_points:
                        key.interpolation = "LINEAR"
