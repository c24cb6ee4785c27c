"""People and objects around the target of a composed pair: posters, distractors and occluders.

Convention: ``box_xyxy`` (4,) is the target in canvas pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pair import Picture
from armory_skelevision.training.data.rendered_pairs.compositing import PlacedCutout, colour_matrix, paste, place
from armory_skelevision.training.data.rendered_pairs.store import Cutout

_T = TypeVar("_T")


def paste_poster(canvas: Picture, poster: Cutout, box_xyxy: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Paste a slanted poster near the target, in place."""
    height = box_xyxy[3] - box_xyxy[1]
    place_at = (box_xyxy[:2] + box_xyxy[2:]) / 2 + rng.normal(0, 0.5, 2) * height * (1, 0.5)
    matrix = place(poster, height * rng.uniform(0.5, 1.4), (place_at[0], place_at[1]), 0.0, False)
    slant = np.array([[rng.uniform(0.5, 1.1), 0.0], [rng.normal(0, 0.15), 1.0]])
    shift = slant @ (matrix[:, 2] - place_at) + place_at
    matrix = np.concatenate([slant @ matrix[:, :2], shift[:, None]], axis=1)
    paste(canvas, PlacedCutout(poster, matrix), 0.4)


def draw_distractors(
    people: Sequence[Sequence[Cutout]],
    objects: Sequence[Cutout],
    twins: tuple[Cutout, Cutout] | None,
    box_xyxy: NDArray[np.float64],
    chance: float,
    rng: np.random.Generator,
) -> list[PlacedCutout]:
    """Further people beside, behind and in front of the target, none of whom covers 80 % of it.

    Args:
        people: The cut-outs of each person.
        objects: Cut-outs of objects, which replace one person in ten.
        twins: Views of the target, which one distractor in four shows in other colours; None for an object.
        box_xyxy: The target.
        chance: Probability of any distractors.
    """
    distractors: list[PlacedCutout] = []
    height = box_xyxy[3] - box_xyxy[1]
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    for _ in range(rng.choice([1, 1, 2, 3, 5]) if rng.uniform() < chance else 0):
        is_twin = rng.uniform() < 0.25 and twins is not None
        cutout = twins[rng.integers(2)] if is_twin and twins else choose(choose(people, rng), rng)
        if rng.uniform() < 0.1:
            cutout = choose(objects, rng)
        # Trackers lose the target to people who cross its way, so many are close to it or in front of it.
        spread = rng.choice([0.15, 0.35, 0.9], p=[0.2, 0.3, 0.5])
        offset = rng.normal(0, 1, 2) * height * (spread, 0.22)
        size = height * float(np.exp(rng.normal(0, 0.15))) * (1 + 0.8 * offset[1] / height)
        if size < 4:
            continue
        spot = middle + offset
        matrix = place(cutout, size, (spot[0], spot[1]), rng.normal(0, 0.03), bool(rng.uniform() < 0.5))
        placed = PlacedCutout(cutout, matrix)
        if _covered(box_xyxy, placed.box_xyxy) < 0.8:
            colours = draw_colours(rng, 3.0 if is_twin or rng.uniform() < 0.2 else 0.15)
            distractors.append(placed._replace(colours=colours))
    return distractors


def draw_occluder(
    poles: Sequence[Cutout], objects: Sequence[Cutout], box_xyxy: NDArray[np.float64], rng: np.random.Generator
) -> PlacedCutout:
    """A pole or another object in front of the target that leaves a good part of it visible."""
    width, height = box_xyxy[2:] - box_xyxy[:2]
    if rng.uniform() < 0.4:
        cutout = choose(poles, rng)
        spot = (rng.uniform(box_xyxy[0], box_xyxy[2]), box_xyxy[3] - height * rng.uniform(0.3, 0.7))
        size = width * rng.uniform(0.1, 0.45) * cutout.size[1] / cutout.size[0]
    else:
        cutout = choose(objects, rng)
        size = height * rng.uniform(0.2, 0.6)
        bottom = rng.uniform() < 0.6
        spot = (
            rng.uniform(box_xyxy[0] - 0.3 * width, box_xyxy[2] + 0.3 * width),
            box_xyxy[3] - size * 0.3 if bottom else rng.uniform(box_xyxy[1], box_xyxy[3]),
        )
    matrix = place(cutout, size, spot, rng.normal(0, 0.05), False)
    return PlacedCutout(cutout, matrix, draw_colours(rng, 0.5))


def choose(items: Sequence[_T], rng: np.random.Generator) -> _T:
    """A random item."""
    return items[int(rng.integers(len(items)))]


def draw_colours(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    """A random recolouring (4, 4), whose hue turns by at most ``strength`` radians; see `colour_matrix`."""
    hue = rng.uniform(-strength, strength)
    saturation = float(np.exp(rng.normal(0, min(strength, 0.3))))
    return colour_matrix(hue, saturation, float(np.exp(rng.normal(0, 0.15))), rng.normal(0, 6))


def _covered(box_xyxy: NDArray[np.float64], other_xyxy: NDArray[np.float64]) -> float:
    """Share of a box that another one covers, in [0, 1]."""
    overlap = np.minimum(box_xyxy[2:], other_xyxy[2:]) - np.maximum(box_xyxy[:2], other_xyxy[:2])
    return float(np.prod(np.maximum(overlap, 0)) / np.prod(box_xyxy[2:] - box_xyxy[:2]))
