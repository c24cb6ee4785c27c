"""The parts of a person's body: rounded meshes, each spanning from one joint of `gait` towards another.

Convention: a part's z runs from its start joint towards its end joint, its x points forward. Lengths in the profiles
below are shares of the person's height.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skelevision_town.cloth import cloth_material, plain_material
from skelevision_town.person import PersonTraits
from skelevision_town.shapes import Array, MeshBuilder, place

SIDES = 14


class BodyPart(NamedTuple):
    """A mesh between two joints."""

    start: str
    end: str
    object: Any


class Profile(NamedTuple):
    """A rounded body as rings along z: heights and half axes forward (x) and sideways (y), shares of the height."""

    z: Sequence[float] | Array
    rx: Sequence[float] | Array
    ry: Sequence[float] | Array
    shift: float = 0.0
    """Of all rings, forward."""


class BodyBuilder:
    """Builds the parts of one person's body in the current scene.

    Args:
        person: Traits of the person.
    """

    def __init__(self, person: PersonTraits) -> None:
        self.person = person
        self.skin = plain_material("skin", person.skin, 0.55)
        self.hair = plain_material("hair", person.hair, 0.7)
        self.shoes = plain_material("shoes", person.shoes, 0.5)
        self.top = cloth_material("top", person.top)
        self.bottom = cloth_material("bottom", person.bottom)
        self.hip_width = (person.hips / 2 + 0.045) * (0.6 + 0.4 * person.girth)

    def build(self) -> list[BodyPart]:
        """All parts, in no particular order."""
        parts = [*self._trunk(), *self._head()]
        for side in ("left", "right"):
            parts += [*self._leg(side), *self._arm(side)]
        return parts + list(self._bag())

    def _trunk(self) -> Iterator[BodyPart]:
        p, g, hips = self.person, self.person.girth, self.hip_width
        length, wide, waist = 0.82 - p.legs, (p.shoulders + 0.035) / 2, 0.08 * p.girth
        z = length * np.array([-0.28, -0.1, 0.12, 0.35, 0.62, 0.85, 0.95, 1.0, 1.05])
        rx = g * np.array([0.0, 0.058, 0.062, 0.056, 0.066, 0.06, 0.045, 0.03, 0.0])
        ry = [0.0, hips, hips * 1.02, waist, wide * 0.82, wide * 0.98, wide * 0.75, 0.035, 0.0]
        yield self._part("pelvis", "neck", Profile(z, rx, ry), self.top)
        yield self._part(
            "neck", "head", Profile([-0.03, 0, 0.06, 0.1], [0, 0.03, 0.028, 0], [0, 0.032, 0.03, 0]), self.skin
        )
        rx, ry = g * np.array([0.0, 0.055, 0.064, 0.05, 0.0]), [0.0, 0.07 * g, hips * 1.03, hips * 0.9, 0.0]
        yield self._part("pelvis", "neck", Profile([-0.11, -0.08, 0.0, 0.06, 0.09], rx, ry), self.bottom)
        yield self._part("pelvis", "neck", self._hem(length, waist), self.top)
        if p.bottom_kind == "skirt":
            rx = g * np.array([0.155, 0.16, 0.115, 0.07, 0.02])
            ry = [0.09, hips * 1.5, hips * 1.3, hips * 1.12, 0.02]
            yield self._part("pelvis", "neck", Profile([-0.27, -0.26, -0.1, 0.02, 0.06], rx, ry), self.bottom)

    def _hem(self, length: float, waist: float) -> Profile:
        """The part of the top below the waist; a coat's falls wider and lower."""
        p, hips = self.person, self.hip_width
        rim, flare = -(0.03 + 0.2 * p.coat), 1.0 + 0.35 * p.coat
        rx = p.girth * np.array([0.02, 0.066 * flare, 0.068, 0.062, 0.03])
        ry = [0.02, hips * 1.06 * flare, hips * 1.08, waist * 1.05, waist * 0.5]
        return Profile([rim, rim * 0.98, -0.02, 0.2 * length, 0.4 * length], rx, ry)

    def _head(self) -> Iterator[BodyPart]:
        p = self.person
        z = [-0.068, -0.064, -0.045, -0.01, 0.03, 0.055, 0.066]
        skull = Profile(z, [0, 0.03, 0.05, 0.056, 0.054, 0.036, 0], [0, 0.022, 0.037, 0.043, 0.043, 0.03, 0])
        yield self._part("head", "above_head", skull, self.skin)
        nose = Profile([-0.02, -0.016, 0.0, 0.012], [0, 0.011, 0.008, 0], [0, 0.008, 0.006, 0], shift=0.054)
        yield self._part("head", "above_head", nose, self.skin)
        if p.hair_length == 0.0 and p.hat == "none":
            return
        low = -0.08 if p.hat == "hood" else -0.02 - 0.1 * max(0.0, p.hair_length - 0.2)
        rx, ry = [0.01, 0.045, 0.054, 0.056, 0.04, 0], [0.01, 0.044, 0.049, 0.049, 0.034, 0]
        cover = Profile([low, low + 0.01, 0.0, 0.03, 0.06, 0.073], rx, ry, shift=-0.014)
        yield self._part("head", "above_head", cover, self.top if p.hat == "hood" else self.hair)
        if p.hat == "cap":
            rx, ry = [0.04, 0.062, 0.06, 0.04, 0], [0.04, 0.05, 0.05, 0.036, 0]
            yield self._part("head", "above_head", Profile([0.024, 0.026, 0.05, 0.072, 0.078], rx, ry), self.top)

    def _leg(self, side: str) -> Iterator[BodyPart]:
        p, g = self.person, self.person.girth
        loose = 1.0 if p.bottom_kind == "skirt" else 1.12
        thigh = _limb(0.245, (0.055 * g * loose, 0.052 * g, 0.035 * loose))
        shin = _limb(p.legs - 0.28, (0.036 * loose, 0.036 * g, 0.024 * loose))
        shoe = _limb(0.11, (0.032, 0.03, 0.022), start=-0.04, flat=0.75)
        yield self._part(f"{side}_hip", f"{side}_knee", thigh, self.skin if p.bottom_kind == "skirt" else self.bottom)
        yield self._part(
            f"{side}_knee", f"{side}_ankle", shin, self.bottom if p.bottom_kind == "trousers" else self.skin
        )
        yield self._part(f"{side}_ankle", f"{side}_toe", shoe, self.shoes)

    def _arm(self, side: str) -> Iterator[BodyPart]:
        p, g = self.person, self.person.girth
        radii = (0.03 * g, 0.03 * g, 0.025)
        bare = _limb(0.172, tuple(0.86 * radius for radius in radii))
        sleeve = _limb(0.172 * min(1.0, 2 * p.sleeve), radii)
        forearm = _limb(0.152, (0.026, 0.025 * g, 0.018))
        hand = _limb(0.085, (0.016, 0.024, 0.012), flat=0.55)
        yield self._part(f"{side}_shoulder", f"{side}_elbow", bare, self.skin)
        yield self._part(f"{side}_shoulder", f"{side}_elbow", sleeve, self.top)
        yield self._part(f"{side}_elbow", f"{side}_wrist", forearm, self.top if p.sleeve > 0.9 else self.skin)
        yield self._part(f"{side}_wrist", f"{side}_hand", hand, self.skin)

    def _bag(self) -> Iterator[BodyPart]:
        if self.person.bag == "none":
            return
        material = plain_material("bag", self.person.bag_colour, 0.6)
        if self.person.bag == "backpack":
            rx, ry = [0.03, 0.05, 0.06, 0.045, 0], [0.06, 0.085, 0.09, 0.075, 0]
            yield self._part("pelvis", "neck", Profile([0.1, 0.105, 0.2, 0.27, 0.28], rx, ry, shift=-0.095), material)
        else:
            pouch = Profile([0.02, 0.025, 0.1, 0.13], [0.05, 0.07, 0.06, 0], [0.02, 0.025, 0.02, 0])
            yield self._part("left_hand", "below_hand", pouch, material)

    def _part(self, start: str, end: str, profile: Profile, material: Any) -> BodyPart:
        angle = 2 * np.pi * np.arange(SIDES) / SIDES
        rings = [
            np.stack([profile.shift + a * np.cos(angle), b * np.sin(angle), np.full(SIDES, z)], axis=1)
            for z, a, b in zip(profile.z, profile.rx, profile.ry, strict=True)
        ]
        shape = MeshBuilder()
        shape.add_loft(np.stack(rings) * self.person.height, "cover")
        thing = place(shape.mesh(start, {"cover": material}, smooth=True))
        thing.rotation_mode = "QUATERNION"
        rounding = thing.modifiers.new("round", "SUBSURF")
        rounding.levels = rounding.render_levels = 1
        return BodyPart(start, end, thing)


def _limb(length: float, radii: Sequence[float], start: float = 0.0, flat: float = 1.0) -> Profile:
    """A tapered limb with round ends; ``radii`` at start, middle and end; ``flat`` squeezes it from the front."""
    a, m, b = radii
    z = [start - a, start - 0.7 * a, *(start + (length - start) * np.array([0.0, 0.4, 0.8, 1.0]))]
    radius = np.array([0.0, 0.7 * a, a, m, 0.5 * (m + b), b, 0.7 * b, 0.0])
    return Profile([*z, length + 0.7 * b, length + b], flat * radius, radius)
