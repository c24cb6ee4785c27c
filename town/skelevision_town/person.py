"""Traits of a person: proportions, clothes, hair and gait, as plain numbers (no Blender)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Linear RGB in [0, 1]."""

SKINS: tuple[Colour, ...] = (
    (0.62, 0.39, 0.28),
    (0.52, 0.31, 0.21),
    (0.42, 0.24, 0.15),
    (0.28, 0.15, 0.09),
    (0.15, 0.08, 0.05),
    (0.08, 0.045, 0.03),
)
HAIRS: tuple[Colour, ...] = (
    (0.01, 0.008, 0.007),
    (0.03, 0.018, 0.01),
    (0.09, 0.045, 0.02),
    (0.3, 0.18, 0.07),
    (0.25, 0.08, 0.03),
    (0.35, 0.34, 0.33),
)
PATTERNS = ("plain", "stripes", "checks", "blotches")
BOTTOMS = ("trousers", "trousers", "trousers", "shorts", "skirt")
HATS = ("none", "none", "none", "cap", "hood")


@dataclass(frozen=True)
class Cloth:
    """A piece of clothing: two colours and the pattern they make, with its scale in metres."""

    colour: Colour
    second: Colour
    pattern: str
    scale: float


@dataclass(frozen=True)
class PersonTraits:
    """What makes up one person.

    Attributes:
        height: Metres, shoes included.
        girth: Thickness of the body against the average of 1.
        shoulders: Width over the shoulder joints as a share of the height.
        hips: Width over the hip joints as a share of the height.
        legs: Height of the hip joint as a share of the height.
        skin, hair: Colours.
        hair_length: 0 (shaven) to 1 (to the shoulders and below).
        hat: "none", "cap" or "hood".
        top, bottom, shoes: Clothes.
        sleeve: Share of the arm that the sleeve covers, 0.2 to 1.
        coat: Length of the top below the hip as a share of the thigh, 0 to 0.9.
        bottom_kind: "trousers", "shorts" or "skirt".
        bag: "none", "backpack" or "handbag".
        bag_colour: Its colour.
        stride: Length of a whole cycle (two steps) in metres.
        arm_swing: Radians.
        elbow: Bend of the elbow, radians.
        lean: Forward lean of the trunk, radians.
        lift: Height of the swinging foot, metres.
    """

    height: float
    girth: float
    shoulders: float
    hips: float
    legs: float
    skin: Colour
    hair: Colour
    hair_length: float
    hat: str
    top: Cloth
    bottom: Cloth
    shoes: Colour
    sleeve: float
    coat: float
    bottom_kind: str
    bag: str
    bag_colour: Colour
    stride: float
    arm_swing: float
    elbow: float
    lean: float
    lift: float


def sample_person(rng: np.random.Generator) -> PersonTraits:
    """Sample a person; the same generator state gives the same person."""
    height = float(np.clip(rng.normal(1.71, 0.09), 1.48, 1.98))
    long_sleeves = rng.random() < 0.55
    return PersonTraits(
        height=height,
        girth=float(np.clip(rng.normal(1.0, 0.11), 0.8, 1.4)),
        shoulders=float(rng.uniform(0.2, 0.245)),
        hips=float(rng.uniform(0.095, 0.115)),
        legs=float(rng.uniform(0.5, 0.535)),
        skin=_vary(rng, SKINS[rng.integers(len(SKINS))], 0.12),
        hair=_vary(rng, HAIRS[rng.integers(len(HAIRS))], 0.25),
        hair_length=float(rng.choice([0.0, 0.2, 0.2, 0.35, 0.7, 1.0])),
        hat=str(rng.choice(HATS)),
        top=sample_cloth(rng),
        bottom=sample_cloth(rng, plain=0.8, dark=0.6),
        shoes=sample_cloth(rng, dark=0.5).colour,
        sleeve=1.0 if long_sleeves else float(rng.uniform(0.22, 0.5)),
        coat=float(rng.uniform(0.25, 0.85)) if long_sleeves and rng.random() < 0.3 else float(rng.uniform(0.05, 0.15)),
        bottom_kind=str(rng.choice(BOTTOMS)),
        bag=str(rng.choice(["none", "none", "backpack", "handbag"])),
        bag_colour=sample_cloth(rng, dark=0.5).colour,
        stride=height * float(rng.uniform(0.74, 0.9)),
        arm_swing=float(rng.uniform(0.3, 0.6)),
        elbow=float(rng.uniform(0.15, 0.55)),
        lean=float(rng.uniform(0.0, 0.09)),
        lift=float(rng.uniform(0.06, 0.11)),
    )


def sample_cloth(rng: np.random.Generator, plain: float = 0.55, dark: float = 0.35) -> Cloth:
    """Sample a cloth; ``plain`` and ``dark`` are the probabilities of a plain and of a dark or grey one."""
    colour, second = _cloth_colour(rng, dark), _cloth_colour(rng, dark)
    pattern = "plain" if rng.random() < plain else str(rng.choice(PATTERNS[1:]))
    return Cloth(colour, second, pattern, float(rng.uniform(0.03, 0.14)))


def _cloth_colour(rng: np.random.Generator, dark: float) -> Colour:
    if rng.random() < dark:
        value = rng.uniform(0.01, 0.12) if rng.random() < 0.75 else rng.uniform(0.3, 0.75)
        return _vary(rng, (value, value, value), 0.15)
    hue, saturation, value = rng.random(), rng.uniform(0.25, 0.95), rng.uniform(0.06, 0.75)
    channels = [value * (1 - saturation * np.clip(abs((hue * 6 + k) % 6 - 3) - 1, 0, 1)) for k in (0, 4, 2)]
    red, green, blue = (float(channel) for channel in channels)
    return (red, green, blue)


def _vary(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    red, green, blue = (float(np.clip(c * rng.uniform(1 - amount, 1 + amount), 0, 1)) for c in colour)
    return (red, green, blue)
