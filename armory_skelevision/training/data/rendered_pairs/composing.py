"""Composed training pairs: a template crop and a search crop of the same person in changing surroundings.

Only the crops are composed, never whole frames, at the resolution that the frame would have there, so that small people
are blurred by upsampling as in a tracker's crops. Shifts and scales are those of PySOT's training: ±64 px and ±.18 for
a search crop of 255 px (less for a smaller one), ±4 px and ±.05 for the template.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import Affine
from armory_skelevision.training.data.pair import (
    SEARCH_SIDE,
    TEMPLATE_SIDE,
    Picture,
    TrainingPair,
    crop_height,
    move_keypoints,
)
from armory_skelevision.training.data.rendered_pairs.backgrounds import Background, BackgroundSampler, render_background
from armory_skelevision.training.data.rendered_pairs.compositing import PlacedCutout, paste, paste_shadow, place
from armory_skelevision.training.data.rendered_pairs.degradation import Degradation, degrade, draw_degradation
from armory_skelevision.training.data.rendered_pairs.store import Cutout, RenderedStore
from armory_skelevision.training.data.rendered_pairs.surroundings import (
    choose,
    draw_colours,
    draw_distractors,
    draw_occluder,
    paste_poster,
)
from armory_skelevision.validation import InvalidValueError

LARGEST_CANVAS = 1.3  # canvas pixels per crop pixel; finer detail would not survive in the crop


class _ComposedCrop(NamedTuple):
    """One crop of a pair, boxes in its pixels, and the map from the target's cut-out to it."""

    picture: Picture
    box_xyxy: NDArray[np.float32]
    distractors_xyxy: NDArray[np.float32]
    matrix: Affine


class _PairPlan(NamedTuple):
    """What both crops of a pair have in common."""

    views: tuple[Cutout, Cutout]
    is_person: bool
    mirror: bool
    stretch: float
    colours: NDArray[np.float32] | None
    frame_height: float
    degradation: Degradation
    sun: tuple[float, float]
    shade: float
    poster: Cutout | None


class RenderedPairSampler:
    """Draws pairs from a store. The same generator state gives the same pair.

    Args:
        store: People and scenes.
        seed: Seed of the procedural textures and objects, which are made once.
        textures: Number of procedural textures.
        objects: Number of objects, which are tracked or occlude the target.
        search_side: Side of the search crops in pixels.
        negative_pair_ratio: Share of negative pairs, whose search crop shows another person in place of the target.

    Raises:
        InvalidValueError: If negative pairs are requested, but there is only one person or one object.
    """

    def __init__(
        self,
        store: RenderedStore,
        seed: int = 0,
        textures: int = 160,
        objects: int = 400,
        search_side: int = SEARCH_SIDE,
        negative_pair_ratio: float = 0.0,
    ) -> None:
        if negative_pair_ratio and min(len(store.people), objects) < 2:
            found = f"{negative_pair_ratio} with {len(store.people)} people and {objects} objects"
            raise InvalidValueError("negative_pair_ratio", "0 with fewer than two people or objects", found)
        self._people = store.people
        self._search_side = search_side
        self._negative_pair_ratio = negative_pair_ratio
        self._backgrounds = BackgroundSampler(store.scenes, seed, textures, objects)

    def sample(self, rng: np.random.Generator) -> TrainingPair:
        """A random training pair."""
        plan = self._draw_plan(rng)
        background = self._backgrounds.sample(rng)
        template = self._compose_crop(plan, 0, TEMPLATE_SIDE, background, rng)
        later = self._backgrounds.move(background, rng.choice([0.02, 0.08, 0.2]), rng)
        keypoints = move_keypoints(plan.views[0].keypoints, template.matrix, plan.mirror)
        is_positive = not (self._negative_pair_ratio and rng.uniform() < self._negative_pair_ratio)
        shown = plan if is_positive else self._replace_target(plan, rng)
        search = self._compose_crop(shown, 1, self._search_side, later, rng)
        return TrainingPair(
            template.picture, search.picture, search.box_xyxy, keypoints, is_positive, search.distractors_xyxy
        )

    def _draw_plan(self, rng: np.random.Generator) -> _PairPlan:
        is_person = bool(rng.uniform() < 0.88)
        views = self._draw_views(rng) if is_person else (choose(self._backgrounds.objects, rng),) * 2
        odd = rng.uniform() < (0.15 if is_person else 0.6)
        return _PairPlan(
            views=(views[0], views[1]),
            is_person=is_person,
            mirror=bool(rng.uniform() < 0.5),
            stretch=float(np.exp(rng.normal(0, 0.1))),
            colours=draw_colours(rng, 3.0 if odd else 0.12),
            frame_height=float(np.exp(rng.uniform(np.log(28), np.log(230)))),
            degradation=draw_degradation(rng),
            sun=(rng.normal(0, 0.8), rng.uniform(-0.5, 0.35)),
            shade=rng.uniform(0.15, 0.65) if rng.uniform() < 0.6 else 0.0,
            poster=choose(self._backgrounds.posters, rng) if rng.uniform() < 0.25 else None,
        )

    def _replace_target(self, plan: _PairPlan, rng: np.random.Generator) -> _PairPlan:
        """The same scene around another person or object, as when a passer-by hides the target."""
        everybody = self._people if plan.is_person else [[cutout] for cutout in self._backgrounds.objects]
        others = [views for views in everybody if all(view is not plan.views[0] for view in views)]
        other = choose(choose(others, rng), rng)
        return plan._replace(views=(other, other), colours=draw_colours(rng, 0.3))

    def _draw_views(self, rng: np.random.Generator) -> tuple[Cutout, Cutout]:
        views = choose(self._people, rng)
        first, second = rng.integers(len(views), size=2)
        if first == second and rng.uniform() < 0.8:
            second = (second + 1) % len(views)
        return views[first], views[second]

    def _compose_crop(
        self, plan: _PairPlan, view: int, side: int, background: Background, rng: np.random.Generator
    ) -> _ComposedCrop:
        """The template crop (view 0) or the search crop (view 1)."""
        is_search = view == 1
        shift, scale = ((side - TEMPLATE_SIDE) / 2, 0.18) if is_search else (4, 0.05)
        cutout = plan.views[view]
        height = crop_height(*cutout.size, plan.stretch) * (1 + rng.uniform(-scale, scale))
        frame_height = plan.frame_height * float(np.exp(rng.normal(0, 0.15)))
        canvas_side = max(20, round(min(frame_height / height, LARGEST_CANVAS) * side))
        ratio = canvas_side / side
        centre = (side / 2 + rng.uniform(-shift, shift, 2)) * ratio
        matrix = place(cutout, height * ratio, (centre[0], centre[1]), rng.normal(0, 0.03), plan.mirror)
        matrix[0] *= plan.stretch
        matrix[0, 2] += centre[0] * (1 - plan.stretch)  # the middle stays where it is
        canvas = render_background(background, canvas_side, side * frame_height / height, (centre[0], centre[1]))
        target = PlacedCutout(cutout, matrix, plan.colours)
        distractors_xyxy = self._paint(canvas, target, plan, is_search, rng)
        size = float(np.sqrt(np.prod(target.box_xyxy[2:] - target.box_xyxy[:2])))
        canvas = degrade(canvas, plan.degradation, size, rng)
        box_xyxy = _leave_frame(canvas, target.box_xyxy, 0.14 if is_search else 0.08, rng)
        crop = np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
        return _ComposedCrop(
            crop, (box_xyxy / ratio).astype(np.float32), (distractors_xyxy / ratio).astype(np.float32), matrix / ratio
        )

    def _paint(
        self, canvas: Picture, target: PlacedCutout, plan: _PairPlan, is_search: bool, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Paste target, distractors and occluders into the canvas; returns the boxes (n, 4) xyxy of the distractors."""
        box_xyxy = target.box_xyxy
        if plan.poster is not None and rng.uniform() < 0.85:
            paste_poster(canvas, plan.poster, box_xyxy, rng)
        twins = plan.views if plan.is_person else None
        chance = 0.8 if is_search else 0.35
        distractors = draw_distractors(self._people, self._backgrounds.objects, twins, box_xyxy, chance, rng)
        soft = rng.uniform(0.2, 0.8)
        for placed in sorted([target, *distractors], key=lambda placed: placed.box_xyxy[3]):
            if plan.is_person or placed is not target:
                paste_shadow(canvas, placed, plan.sun, plan.shade)
            paste(canvas, placed, soft)
        if rng.uniform() < (0.3 if is_search else 0.1):
            paste(canvas, draw_occluder(self._backgrounds.poles, self._backgrounds.objects, box_xyxy, rng), soft)
        return np.array([placed.box_xyxy for placed in distractors]).reshape(-1, 4)


def _leave_frame(
    canvas: Picture, box_xyxy: NDArray[np.float64], chance: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Let the frame end within the crop at random, in place; returns the part of the box inside the frame.

    Outside the frame lies its mean colour. At least about half of the target stays inside.
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
