"""A person in Blender: rigid parts that overlap at the joints, posed and keyframed from `gait`.

Parts keep their meshes and only turn and move, so that Cycles builds its trees once and motion blur comes for free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from armory_skelevision.walkers.cloth import cloth_material, plain_material
from armory_skelevision.walkers.gait import COCO, Array, pose
from armory_skelevision.walkers.person import Person

SIDES = 14


class Moment(NamedTuple):
    """Where and how a person is in one frame."""

    frame: int
    xyz: Sequence[float]
    """Point on the ground below the pelvis, metres."""
    heading: float
    """Radians from the x axis, anticlockwise."""
    phase: float
    """Cycles of the gait."""


class Part(NamedTuple):
    """A mesh that spans from joint ``start`` towards joint ``end``, its local z along it and its x forward."""

    start: str
    end: str
    object: Any


class Body:
    """Builds a person's meshes once; `animate` moves them.

    Args:
        person: Who.
        collection: Blender collection to link to; the scene's by default.
        walking: False for one who stands.
    """

    def __init__(self, person: Person, collection: Any = None, walking: bool = True) -> None:
        import bpy

        self.person = person
        self.walking = walking
        self._collection = collection or bpy.context.scene.collection
        self._parts = list(self._build())
        self._moments: dict[int, Moment] = {}

    @property
    def objects(self) -> list[Any]:
        """All meshes of the body."""
        return [part.object for part in self._parts]

    def animate(self, moments: Iterable[Moment]) -> None:
        """Set keyframes for each moment; between them Blender interpolates."""
        for moment in moments:
            self._moments[moment.frame] = moment
            joints = self._joints_world(moment)
            for part in self._parts:
                _place(part, joints, moment.heading)
                for path in ("location", "rotation_quaternion"):
                    part.object.keyframe_insert(path, frame=moment.frame)
        for part in self._parts:
            _interpolate_linearly(part.object)

    def keypoints_world(self, frame: int) -> Array:
        """The 17 COCO keypoints (17, 3) in world coordinates at a frame given to `animate`."""
        joints = self._joints_world(self._moments[frame])
        return np.stack([joints[name] for name in COCO])

    def _joints_world(self, moment: Moment) -> dict[str, Array]:
        c, s = np.cos(moment.heading), np.sin(moment.heading)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        local = pose(self.person, moment.phase, self.walking)
        joints = {name: turn @ point + np.asarray(moment.xyz, dtype=np.float64) for name, point in local.items()}
        joints["forward"] = turn @ np.array([1.0, 0, 0])
        joints["up_head"] = joints["head"] + [0, 0, 1.0]
        joints["down_pelvis"] = joints["pelvis"] - [0, 0, 1.0]
        return joints

    def _build(self) -> Iterable[Part]:
        p = self.person
        h, g = p.height, p.girth
        skin = plain_material("skin", p.skin, 0.55)
        top, bottom = cloth_material("top", p.top), cloth_material("bottom", p.bottom)
        shoes, hair = plain_material("shoes", p.shoes, 0.5), plain_material("hair", p.hair, 0.7)
        yield from self._trunk(h, g, skin, top, bottom)
        yield from self._head(h, skin, hair, top)
        bare = skin if p.bottom_kind != "trousers" else bottom
        for side in ("left", "right"):
            thigh, shin = 0.245 * h, (p.legs - 0.28) * h
            upper_leg = bottom if p.bottom_kind != "skirt" else skin
            loose = 1.12 if p.bottom_kind != "skirt" else 1.0
            yield self._limb(
                f"{side}_hip", f"{side}_knee", thigh, (0.055 * g * loose, 0.052 * g, 0.035 * loose), upper_leg
            )
            yield self._limb(f"{side}_knee", f"{side}_ankle", shin, (0.036 * loose, 0.036 * g, 0.024 * loose), bare)
            yield self._limb(
                f"{side}_ankle", f"{side}_toe", 0.11 * h, (0.032, 0.03, 0.022), shoes, flat=0.75, start=-0.04 * h
            )
            arm = (top, skin, p.sleeve)
            yield from self._sleeved(side, h, g, *arm)
            yield self._limb(f"{side}_wrist", f"{side}_hand", 0.085 * h, (0.016, 0.024, 0.012), skin, flat=0.55)
        if p.bag != "none":
            yield self._bag(h, plain_material("bag", p.bag_colour, 0.6))

    def _trunk(self, h: float, g: float, skin: Any, top: Any, bottom: Any) -> Iterable[Part]:
        p = self.person
        length = (0.82 - p.legs) * h
        wide, hips = (p.shoulders + 0.035) / 2 * h, (p.hips / 2 + 0.045) * h * (0.6 + 0.4 * g)
        waist = 0.08 * h * g
        z = np.array([-0.28, -0.1, 0.12, 0.35, 0.62, 0.85, 0.95, 1.0, 1.05]) * length
        rx = np.array([0.0, 0.058, 0.062, 0.056, 0.066, 0.06, 0.045, 0.03, 0.0]) * h * g
        ry = np.array([0.0, hips, hips * 1.02, waist, wide * 0.82, wide * 0.98, wide * 0.75, 0.035 * h, 0.0])
        yield Part("pelvis", "neck", self._loft("trunk", z, rx, ry, top))
        yield Part(
            "neck",
            "head",
            self._loft(
                "neck",
                np.array([-0.3, 0, 0.6, 1.0]) * 0.1 * h,
                [0.0, 0.03 * h, 0.028 * h, 0.0],
                [0.0, 0.032 * h, 0.03 * h, 0.0],
                skin,
            ),
        )
        rim = -(0.03 + p.coat * 0.2) * h
        flare = 1.0 + 0.35 * p.coat
        z = np.array([rim, rim * 0.98, -0.02 * h, 0.2 * length, 0.4 * length])
        yield Part(
            "pelvis",
            "neck",
            self._loft(
                "hem",
                z,
                np.array([0.02, 0.066 * flare, 0.068, 0.062, 0.03]) * h * g,
                np.array([0.02 * h, hips * 1.06 * flare, hips * 1.08, waist * 1.05, waist * 0.5]),
                top,
            ),
        )
        seat = self._loft(
            "seat",
            np.array([-0.11, -0.08, 0.0, 0.06, 0.09]) * h,
            np.array([0, 0.055, 0.064, 0.05, 0]) * h * g,
            np.array([0, 0.07 * h * g, hips * 1.03, hips * 0.9, 0]),
            bottom,
        )
        yield Part("pelvis", "neck", seat)
        if p.bottom_kind == "skirt":
            z = np.array([-0.27, -0.26, -0.1, 0.02, 0.06]) * h
            yield Part(
                "pelvis",
                "neck",
                self._loft(
                    "skirt",
                    z,
                    np.array([0.13, 0.135, 0.095, 0.066, 0.02]) * h * g,
                    np.array([0.09 * h, hips * 1.35, hips * 1.15, hips * 1.04, 0.02]),
                    bottom,
                ),
            )

    def _head(self, h: float, skin: Any, hair: Any, top: Any) -> Iterable[Part]:
        p = self.person
        z = np.array([-0.068, -0.064, -0.045, -0.01, 0.03, 0.055, 0.066]) * h
        yield Part(
            "head",
            "up_head",
            self._loft(
                "head",
                z,
                np.array([0, 0.03, 0.05, 0.056, 0.054, 0.036, 0]) * h,
                np.array([0, 0.022, 0.037, 0.043, 0.043, 0.03, 0]) * h,
                skin,
            ),
        )
        nose = self._loft(
            "nose",
            np.array([-0.02, -0.016, 0.0, 0.012]) * h,
            np.array([0, 0.011, 0.008, 0]) * h,
            np.array([0, 0.008, 0.006, 0]) * h,
            skin,
            shift=(0.054 * h, 0.0),
        )
        yield Part("head", "up_head", nose)
        cover = top if p.hat == "hood" else hair
        if p.hair_length == 0.0 and p.hat == "none":
            return
        low = -0.02 - 0.1 * max(0.0, p.hair_length - 0.2) if p.hat != "hood" else -0.08
        z = np.array([low, low + 0.01, 0.0, 0.03, 0.06, 0.073]) * h
        back = self._loft(
            "hair",
            z,
            np.array([0.01, 0.045, 0.054, 0.056, 0.04, 0]) * h,
            np.array([0.01, 0.044, 0.049, 0.049, 0.034, 0]) * h,
            cover,
            shift=(-0.014 * h, 0.0),
        )
        yield Part("head", "up_head", back)
        if p.hat == "cap":
            z = np.array([0.024, 0.026, 0.05, 0.072, 0.078]) * h
            cap = self._loft(
                "cap", z, np.array([0.04, 0.062, 0.06, 0.04, 0]) * h, np.array([0.04, 0.05, 0.05, 0.036, 0]) * h, top
            )
            yield Part("head", "up_head", cap)

    def _sleeved(self, side: str, h: float, g: float, top: Any, skin: Any, sleeve: float) -> Iterable[Part]:
        upper, lower = 0.172 * h, 0.152 * h
        radii = (0.034 * g, 0.031 * g, 0.025)
        yield self._limb(f"{side}_shoulder", f"{side}_elbow", upper, tuple(0.86 * r for r in radii), skin)
        covered = min(1.0, sleeve * 2)
        yield self._limb(f"{side}_shoulder", f"{side}_elbow", upper * covered, radii, top)
        forearm = top if sleeve > 0.9 else skin
        yield self._limb(f"{side}_elbow", f"{side}_wrist", lower, (0.026, 0.025 * g, 0.018), forearm)

    def _bag(self, h: float, material: Any) -> Part:
        if self.person.bag == "backpack":
            z = np.array([0.1, 0.105, 0.2, 0.27, 0.28]) * h
            return Part(
                "pelvis",
                "neck",
                self._loft(
                    "bag",
                    z,
                    np.array([0.03, 0.05, 0.06, 0.045, 0]) * h,
                    np.array([0.06, 0.085, 0.09, 0.075, 0]) * h,
                    material,
                    shift=(-0.095 * h, 0.0),
                ),
            )
        z = np.array([0.02, 0.025, 0.1, 0.13]) * h
        return Part(
            "left_hand",
            "left_hand_below",
            self._loft("bag", z, np.array([0.05, 0.07, 0.06, 0]) * h, np.array([0.02, 0.025, 0.02, 0]) * h, material),
        )

    def _limb(
        self,
        start_joint: str,
        end_joint: str,
        length: float,
        radii: Sequence[float],
        material: Any,
        flat: float = 1.0,
        start: float = 0.0,
    ) -> Part:
        """A tapered limb; ``radii`` at start, middle and end as shares of the height; ``flat`` squeezes it forwards."""
        h = self.person.height
        a, m, b = (r * h for r in radii)
        t = np.array([-1.0, -0.7, 0.0, 0.45, 0.75, 1.0])
        z = np.concatenate(
            [
                start + t[:2] * a,
                start + (length - start) * np.array([0.0, 0.4, 0.8, 1.0]),
                [length + 0.7 * b, length + b],
            ]
        )
        r = np.array([0.0, 0.7 * a, a, m, 0.5 * (m + b), b, 0.7 * b, 0.0])
        return Part(start_joint, end_joint, self._loft(start_joint, z, r * flat, r, material))

    def _loft(self, name: str, z: Any, rx: Any, ry: Any, material: Any, shift: tuple[float, float] = (0.0, 0.0)) -> Any:
        """A closed tube of elliptical rings (half axes rx forward, ry sideways) at heights z, smooth shaded."""
        import bpy

        angles = np.arange(SIDES) * 2 * np.pi / SIDES
        rings = [
            np.stack([shift[0] + a * np.cos(angles), shift[1] + b * np.sin(angles), np.full(SIDES, c)], axis=1)
            for a, b, c in zip(rx, ry, z, strict=True)
        ]
        points = np.concatenate(rings)
        count = len(rings)
        faces = [
            (k * SIDES + i, k * SIDES + (i + 1) % SIDES, (k + 1) * SIDES + (i + 1) % SIDES, (k + 1) * SIDES + i)
            for k in range(count - 1)
            for i in range(SIDES)
        ]
        faces += [tuple(range(SIDES))[::-1], tuple(range((count - 1) * SIDES, count * SIDES))]
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(points.tolist(), [], faces)
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
        mesh.materials.append(material)
        thing = bpy.data.objects.new(name, mesh)
        thing.rotation_mode = "QUATERNION"
        subdivide = thing.modifiers.new("smooth", "SUBSURF")
        subdivide.levels = subdivide.render_levels = 1
        self._collection.objects.link(thing)
        return thing


def _place(part: Part, joints: dict[str, Array], heading: float) -> None:
    from mathutils import Matrix

    start = joints[part.start]
    if part.end == "left_hand_below":
        end = start - [0, 0, 1.0]
    else:
        end = joints[part.end]
    z = (end - start) / np.linalg.norm(end - start)
    x = joints["forward"] - z * (joints["forward"] @ z)
    if np.linalg.norm(x) < 0.2:  # a foot: its own length points forward, so its x points up
        x = np.array([0, 0, 1.0]) - z * z[2]
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z], axis=1)
    part.object.location = start
    previous = part.object.rotation_quaternion.copy()
    part.object.rotation_quaternion = Matrix(turn.tolist()).to_quaternion()
    part.object.rotation_quaternion.make_compatible(previous)


def _interpolate_linearly(thing: Any) -> None:
    action = thing.animation_data.action
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                for curve in bag.fcurves:
                    for key in curve.keyframe_points:
                        key.interpolation = "LINEAR"
