"""Training pairs, composed: a template crop and a search crop of the same person in changing surroundings.

Only the crops are painted, never whole frames, at the resolution that the frame would have had there, so that small
people come out blurred by upsampling just as a tracker sees them. Shifts and scales are those of PySOT's training:
search crop of 255 px by ±64 px and ±.18 (a smaller one by less), template ±4 px and ±.05.

Convention: crop coordinates are pixel edges of the crop, x right, y down; crops are square, uint8, BGR.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pairs.degrade import Camera, draw_camera, take_picture
from armory_skelevision.training.data.pairs.painting import (
    Affine,
    bounding_box,
    colour_matrix,
    paste,
    paste_shadow,
    place,
)
from armory_skelevision.training.data.pairs.pair import SEARCH_SIDE, TEMPLATE_SIDE, Pair, crop_height, move_keypoints
from armory_skelevision.training.data.pairs.scenery import Backdrop, Scenery, paint_backdrop
from armory_skelevision.training.data.pairs.store import Cutout, Store

_T = TypeVar("_T")

LARGEST_CANVAS = 1.3  # canvas pixels per crop pixel: finer than this, nothing is left of it in the crop


class _View(NamedTuple):
    """One crop of a pair, boxes in its pixels, and the map from the target's cut-out to it."""

    picture: NDArray[np.uint8]
    box_xyxy: NDArray[np.float32]
    others_xyxy: NDArray[np.float32]
    matrix: Affine


class _Actor(NamedTuple):
    """Somebody (or something) in a crop."""

    cutout: Cutout
    matrix: Affine
    colours: NDArray[np.float32] | None


class _Plan(NamedTuple):
    """What both crops of a pair share."""

    views: tuple[Cutout, Cutout]
    is_person: bool
    mirror: bool
    stretch: float
    colours: NDArray[np.float32] | None
    frame_height: float
    camera: Camera
    sun: tuple[float, float]
    shade: float
    poster: Cutout | None


class Composer:
    """Draws pairs from a store. The same generator state gives the same pair.

    Args:
        store: People and scenes.
        seed: Of the procedural scenery, which is made once.
        textures: How many procedural textures there are.
        things: How many things there are to track, or to hide behind.
        search_side: Side of the search crops in pixels.
        strangers: Share of the pairs in whose search crop somebody else stands in the target's stead.

    Raises:
        ValueError: There shall be strangers, but there is one person only, or one thing.
    """

    def __init__(
        self,
        store: Store,
        seed: int = 0,
        textures: int = 160,
        things: int = 400,
        search_side: int = SEARCH_SIDE,
        strangers: float = 0.0,
    ) -> None:
        if strangers and min(len(store.people), things) < 2:
            raise ValueError(
                f"strangers: need two people in the store and two things, got {len(store.people)}, {things}"
            )
        self._people = store.people
        self._search_side = search_side
        self._strangers = strangers
        self._scenery = Scenery(store.scenes, seed, textures, things)

    def pair(self, rng: np.random.Generator) -> Pair:
        """A random training pair."""
        plan = self._draw_plan(rng)
        backdrop = self._scenery.draw_backdrop(rng)
        template = self._take_crop(plan, 0, TEMPLATE_SIDE, backdrop, rng)
        later = self._scenery.move_backdrop(backdrop, rng.choice([0.02, 0.08, 0.2]), rng)
        keypoints = move_keypoints(plan.views[0].keypoints, template.matrix, plan.mirror)
        is_target = not (self._strangers and rng.uniform() < self._strangers)
        shown = plan if is_target else self._swap_target(plan, rng)
        search = self._take_crop(shown, 1, self._search_side, later, rng)
        return Pair(template.picture, search.picture, search.box_xyxy, keypoints, is_target, search.others_xyxy)

    def _draw_plan(self, rng: np.random.Generator) -> _Plan:
        is_person = bool(rng.uniform() < 0.88)
        views = self._draw_views(rng) if is_person else (self._draw_thing(rng),) * 2
        odd = rng.uniform() < (0.15 if is_person else 0.6)
        return _Plan(
            views=(views[0], views[1]),
            is_person=is_person,
            mirror=bool(rng.uniform() < 0.5),
            stretch=float(np.exp(rng.normal(0, 0.1))),
            colours=_draw_colours(rng, 3.0 if odd else 0.12),
            frame_height=float(np.exp(rng.uniform(np.log(28), np.log(230)))),
            camera=draw_camera(rng),
            sun=(rng.normal(0, 0.8), rng.uniform(-0.5, 0.35)),
            shade=rng.uniform(0.15, 0.65) if rng.uniform() < 0.6 else 0.0,
            poster=_choose(self._scenery.posters, rng) if rng.uniform() < 0.25 else None,
        )

    def _swap_target(self, plan: _Plan, rng: np.random.Generator) -> _Plan:
        """The same scene around somebody else, as when a passer-by hides the target."""
        everybody = self._people if plan.is_person else [[thing] for thing in self._scenery.things]
        others = [views for views in everybody if all(view is not plan.views[0] for view in views)]
        stranger = _choose(_choose(others, rng), rng)
        return plan._replace(views=(stranger, stranger), colours=_draw_colours(rng, 0.3))

    def _draw_views(self, rng: np.random.Generator) -> tuple[Cutout, Cutout]:
        views = _choose(self._people, rng)
        first, second = rng.integers(len(views), size=2)
        if first == second and rng.uniform() < 0.8:
            second = (second + 1) % len(views)
        return views[first], views[second]

    def _draw_thing(self, rng: np.random.Generator) -> Cutout:
        return _choose(self._scenery.things, rng)

    def _take_crop(self, plan: _Plan, view: int, side: int, backdrop: Backdrop, rng: np.random.Generator) -> _View:
        is_search = view == 1
        shift, scale = ((side - TEMPLATE_SIDE) / 2, 0.18) if is_search else (4, 0.05)
        cutout = plan.views[view]
        height = crop_height(*cutout.size, plan.stretch) * (1 + rng.uniform(-scale, scale))
        frame_height = plan.frame_height * float(np.exp(rng.normal(0, 0.15)))
        canvas_side = max(20, round(min(frame_height / height, LARGEST_CANVAS) * side))
        ratio = canvas_side / side
        centre = (side / 2 + rng.uniform(-shift, shift, 2)) * ratio
        matrix = place(cutout, height * ratio, (centre[0], centre[1]), rng.normal(0, 0.03), plan.mirror)
        matrix = _stretch(matrix, plan.stretch, centre[0])
        canvas = paint_backdrop(backdrop, canvas_side, side * frame_height / height, (centre[0], centre[1]))
        target = _Actor(cutout, matrix, plan.colours)
        others = self._paint(canvas, target, plan, is_search, rng)
        canvas = take_picture(canvas, plan.camera, rng)
        box_xyxy = _leave_frame(canvas, bounding_box(matrix, cutout), 0.14 if is_search else 0.08, rng)
        crop = np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
        return _View(crop, (box_xyxy / ratio).astype(np.float32), (others / ratio).astype(np.float32), matrix / ratio)

    def _paint(
        self, canvas: NDArray[np.uint8], target: _Actor, plan: _Plan, is_search: bool, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Paint everybody; returns the boxes (n, 4) of the others."""
        box_xyxy = bounding_box(target.matrix, target.cutout)
        if plan.poster is not None and rng.uniform() < 0.85:
            self._paint_poster(canvas, plan.poster, box_xyxy, rng)
        others = self._draw_others(target, box_xyxy, plan, 0.8 if is_search else 0.35, rng)
        soft = rng.uniform(0.2, 0.8)
        for actor in sorted([target, *others], key=lambda actor: bounding_box(actor.matrix, actor.cutout)[3]):
            if plan.is_person or actor is not target:
                paste_shadow(canvas, actor.cutout, actor.matrix, plan.sun, plan.shade)
            paste(canvas, actor.cutout, actor.matrix, actor.colours, soft)
        if rng.uniform() < (0.3 if is_search else 0.1):
            hider = self._draw_hider(box_xyxy, rng)
            paste(canvas, hider.cutout, hider.matrix, hider.colours, soft)
        return np.array([bounding_box(actor.matrix, actor.cutout) for actor in others]).reshape(-1, 4)

    def _paint_poster(
        self, canvas: NDArray[np.uint8], poster: Cutout, box_xyxy: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        height = box_xyxy[3] - box_xyxy[1]
        place_at = (box_xyxy[:2] + box_xyxy[2:]) / 2 + rng.normal(0, 0.5, 2) * height * (1, 0.5)
        matrix = place(poster, height * rng.uniform(0.5, 1.4), (place_at[0], place_at[1]), 0.0, False)
        slant = np.array([[rng.uniform(0.5, 1.1), 0.0], [rng.normal(0, 0.15), 1.0]])
        shift = slant @ (matrix[:, 2] - place_at) + place_at
        matrix = np.concatenate([slant @ matrix[:, :2], shift[:, None]], axis=1)
        paste(canvas, poster, matrix, None, 0.4)

    def _draw_others(
        self, target: _Actor, box_xyxy: NDArray[np.float64], plan: _Plan, chance: float, rng: np.random.Generator
    ) -> list[_Actor]:
        """Further people beside, behind and in front of the target, none of whom hides all of it."""
        others: list[_Actor] = []
        height = box_xyxy[3] - box_xyxy[1]
        middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
        for _ in range(rng.choice([1, 1, 2, 3, 5]) if rng.uniform() < chance else 0):
            alike = rng.uniform() < 0.25 and plan.is_person
            cutout = plan.views[rng.integers(2)] if alike else _choose(_choose(self._people, rng), rng)
            if rng.uniform() < 0.1:
                cutout = self._draw_thing(rng)
            # Whoever crosses the target's way is what trackers lose it to, so many come close, or right before it.
            spread = rng.choice([0.15, 0.35, 0.9], p=[0.2, 0.3, 0.5])
            offset = rng.normal(0, 1, 2) * height * (spread, 0.22)
            size = height * float(np.exp(rng.normal(0, 0.15))) * (1 + 0.8 * offset[1] / height)
            if size < 4:
                continue
            spot = middle + offset
            matrix = place(cutout, size, (spot[0], spot[1]), rng.normal(0, 0.03), bool(rng.uniform() < 0.5))
            if _covered(box_xyxy, bounding_box(matrix, cutout)) < 0.8:
                others.append(_Actor(cutout, matrix, _draw_colours(rng, 3.0 if alike or rng.uniform() < 0.2 else 0.15)))
        return others

    def _draw_hider(self, box_xyxy: NDArray[np.float64], rng: np.random.Generator) -> _Actor:
        """A post, a bush, a box or a piece of wall in front of the target, leaving a good part of it in sight."""
        width, height = box_xyxy[2:] - box_xyxy[:2]
        if rng.uniform() < 0.4:
            cutout = _choose(self._scenery.poles, rng)
            spot = (rng.uniform(box_xyxy[0], box_xyxy[2]), box_xyxy[3] - height * rng.uniform(0.3, 0.7))
            size = width * rng.uniform(0.1, 0.45) * cutout.size[1] / cutout.size[0]
        else:
            cutout = self._draw_thing(rng)
            size = height * rng.uniform(0.2, 0.6)
            bottom = rng.uniform() < 0.6
            spot = (
                rng.uniform(box_xyxy[0] - 0.3 * width, box_xyxy[2] + 0.3 * width),
                box_xyxy[3] - size * 0.3 if bottom else rng.uniform(box_xyxy[1], box_xyxy[3]),
            )
        return _Actor(cutout, place(cutout, size, spot, rng.normal(0, 0.05), False), _draw_colours(rng, 0.5))


def _choose(items: list[_T], rng: np.random.Generator) -> _T:
    return items[rng.integers(len(items))]


def _draw_colours(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    hue = rng.uniform(-strength, strength)
    saturation = float(np.exp(rng.normal(0, min(strength, 0.3))))
    return colour_matrix(hue, saturation, float(np.exp(rng.normal(0, 0.15))), rng.normal(0, 6))


def _stretch(matrix: Affine, stretch: float, about: float) -> Affine:
    wider = matrix.copy()
    wider[0] *= stretch
    wider[0, 2] += about * (1 - stretch)
    return wider


def _covered(box_xyxy: NDArray[np.float64], other_xyxy: NDArray[np.float64]) -> float:
    """Share of a box that another covers."""
    overlap = np.minimum(box_xyxy[2:], other_xyxy[2:]) - np.maximum(box_xyxy[:2], other_xyxy[:2])
    return float(np.prod(np.maximum(overlap, 0)) / np.prod(box_xyxy[2:] - box_xyxy[:2]))


def _leave_frame(
    canvas: NDArray[np.uint8], box_xyxy: NDArray[np.float64], chance: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Now and then let the frame end within the crop, in place; returns the part of the box inside the frame.

    Beyond the frame lies its mean colour. At least about half of the target stays inside.
    """
    side = len(canvas)
    frame_xyxy = np.array([0.0, 0.0, side, side])
    if rng.uniform() < chance:
        colour = canvas.reshape(-1, 3).mean(axis=0)
        size = box_xyxy[2:] - box_xyxy[:2]
        for edge in rng.permutation(4)[: rng.integers(1, 3)]:
            axis, is_high = edge % 2, edge >= 2
            inside = rng.uniform(0.65, 2.5) * size[axis]
            limit = box_xyxy[axis] + inside if is_high else box_xyxy[2 + axis] - inside
            limit = float(np.clip(round(limit), 0, side))
            frame_xyxy[edge] = limit
            outside = slice(int(limit), None) if is_high else slice(None, int(limit))
            canvas[(outside, slice(None)) if axis else (slice(None), outside)] = colour
    clipped = np.concatenate([np.maximum(box_xyxy[:2], frame_xyxy[:2]), np.minimum(box_xyxy[2:], frame_xyxy[2:])])
    return np.asarray(clipped, np.float64)
