"""Training pairs from crops of real people: two crops of a person, shifted, scaled, recoloured and blurred.

Shifts, scales and the share of blurred search crops are those of PySOT's training. The template is at most 10 frames
away from the search frame (Das et al. 2022), or from the same image where there is no video. The colour changes and the
length of the blur are our own.

Convention: pixel edges; boxes and keypoints in pixels of the crop they belong to.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import Affine, move_points
from armory_skelevision.training.data.pair import SEARCH_SIDE, TEMPLATE_SIDE, Picture, TrainingPair, move_keypoints
from armory_skelevision.training.data.real_crops.cropping import CROP_SIDE, warp
from armory_skelevision.training.data.real_crops.store import CropStore
from armory_skelevision.training.data.rendered_pairs.compositing import colour_matrix
from armory_skelevision.training.data.rendered_pairs.degradation import motion_kernel
from armory_skelevision.validation import InvalidValueError

REACH = 10  # largest number of frames between template and search frame
TEMPLATE_SHIFT, TEMPLATE_SCALE = 4, 0.05
SEARCH_SCALE = 0.18
BLURRED = 0.2  # share of the search crops
LARGEST_SEARCH_SIDE = 431  # at its smallest scale, a larger one would reach beyond the stored crop


class CropPairSampler:
    """Draws pairs from a store of crops. The same generator state gives the same pair.

    Args:
        store: The crops.
        search_side: Side of the search crops in pixels.
        negative_pair_ratio: Share of negative pairs, whose search crop shows another person.

    Raises:
        InvalidValueError: If the search crops are larger than the stored ones allow, or negative pairs are requested
            from crops of one person.
    """

    def __init__(self, store: CropStore, search_side: int = SEARCH_SIDE, negative_pair_ratio: float = 0.0) -> None:
        if search_side > LARGEST_SEARCH_SIDE:
            wanted = f"at most {LARGEST_SEARCH_SIDE} with crops of real people"
            raise InvalidValueError("search_side", wanted, str(search_side))
        if negative_pair_ratio and len(set(store.people)) < 2:
            wanted = "0 with a store of one person"
            raise InvalidValueError("negative_pair_ratio", wanted, str(negative_pair_ratio))
        self._store = store
        self._search_side = search_side
        self._negative_pair_ratio = negative_pair_ratio

    def sample(self, rng: np.random.Generator) -> TrainingPair:
        """A random training pair; keypoints that are not annotated have v = 0."""
        store, side = self._store, self._search_side
        search_index = int(rng.integers(len(store)))
        is_positive = not (self._negative_pair_ratio and rng.uniform() < self._negative_pair_ratio)
        template_index = int(rng.choice(self._templates_for(search_index, is_positive)))
        later = store.picture(search_index)
        first = later if template_index == search_index else store.picture(template_index)
        to_template = draw_crop_map(TEMPLATE_SIDE, TEMPLATE_SHIFT, TEMPLATE_SCALE, rng)
        to_search = draw_crop_map(side, (side - TEMPLATE_SIDE) / 2, SEARCH_SCALE, rng)
        template = _recolour(warp(first, to_template, TEMPLATE_SIDE), rng)
        search = _recolour(warp(later, to_search, side), rng)
        if rng.uniform() < BLURRED:
            kernel = motion_kernel(rng.uniform(2, 12), rng.uniform(0, np.pi))
            search = np.asarray(cv2.filter2D(search, -1, kernel), np.uint8)
        corners = store.boxes_xyxy[search_index].reshape(2, 2)
        box_xyxy = move_points(to_search, corners).reshape(4).clip(0, side).astype(np.float32)
        keypoints = move_keypoints(store.keypoints[template_index], to_template)
        return TrainingPair(template, search, box_xyxy, keypoints, is_positive)

    def _templates_for(self, index: int, is_positive: bool) -> NDArray[np.int64]:
        """Indices of possible templates for a search crop: of its own person, or for a negative pair of all others."""
        if is_positive:
            return self._store.neighbours(index, REACH)
        return np.flatnonzero(self._store.people != self._store.people[index])


def draw_crop_map(side: int, shift: float, scale: float, rng: np.random.Generator) -> Affine:
    """A random map from a stored crop to a template or search crop within it.

    Args:
        side: Side of the template or search crop in pixels.
        shift: Largest distance of its centre from that of the stored crop, in pixels along each axis.
        scale: Largest relative difference between ``side`` and the width and height of the part that is cut, each of
            which is drawn by itself.
    """
    size = side * (1 + rng.uniform(-scale, scale, 2))
    room = (CROP_SIDE - size) / 2
    corner = room + rng.uniform(-shift, shift, 2).clip(-room, room)
    ratio = side / size
    return np.array([[ratio[0], 0, -ratio[0] * corner[0]], [0, ratio[1], -ratio[1] * corner[1]]])


def _recolour(picture: Picture, rng: np.random.Generator) -> Picture:
    matrix = colour_matrix(
        hue=rng.normal(0, 0.08),
        saturation=float(np.exp(rng.normal(0, 0.15))),
        gain=float(np.exp(rng.normal(0, 0.12))),
        offset=0,
    )[:3, :3]
    offset = rng.normal(0, 8, (3, 1)) * rng.choice([0.5, 1.0])
    return np.asarray(cv2.transform(picture, np.concatenate([matrix, offset], axis=1)), np.uint8)
