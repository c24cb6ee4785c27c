"""Training pairs from crops of real people: two crops of a person, shifted, scaled, mirrored and degraded.

Shifts and scales are those of PySOT's training. The template is some frames away from the search frame (at most 10 in
Das et al. 2022, 100 in PySOT), or from the same image where there is no video. Light, blur, noise and compression are
those of composed pairs. A common stretch of both crops keeps the proportions of boxes from being learned by heart: they
follow from the template.

Convention: pixel edges; boxes and keypoints in pixels of the crop they belong to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import Affine, move_points
from armory_skelevision.training.data.pair import SEARCH_SIDE, TEMPLATE_SIDE, TrainingPair, move_keypoints
from armory_skelevision.training.data.real_crops.cropping import CROP_SIDE, warp
from armory_skelevision.training.data.real_crops.store import CropStore
from armory_skelevision.training.data.rendered_pairs.degradation import Degradation, degrade, draw_degradation
from armory_skelevision.validation import InvalidValueError

FRAME_RANGE = 10
TEMPLATE_SHIFT, TEMPLATE_SCALE = 4, 0.05
SEARCH_SCALE = 0.18
STRETCH = 0.1  # standard deviation of the log of the common stretch, as of composed pairs
OWN_CAMERA = 0.5  # share of the pairs that keep the faults of their own camera, and change in tone alone
LOW_RESOLUTION = 0.3  # share of the others whose camera is far away
LARGEST_SEARCH_SIDE = 431  # at its smallest scale, a larger one would reach beyond the stored crop


class CropPairSampler:
    """Draws pairs from a store of crops. The same generator state gives the same pair.

    Args:
        store: The crops.
        search_side: Side of the search crops in pixels.
        negative_pair_ratio: Share of negative pairs, whose search crop shows another person.
        frame_range: Largest number of frames between template and search frame.

    Raises:
        InvalidValueError: If the search crops are larger than the stored ones allow, or negative pairs are requested
            from crops of one person.
    """

    def __init__(
        self,
        store: CropStore,
        search_side: int = SEARCH_SIDE,
        negative_pair_ratio: float = 0.0,
        frame_range: int = FRAME_RANGE,
    ) -> None:
        if search_side > LARGEST_SEARCH_SIDE:
            wanted = f"at most {LARGEST_SEARCH_SIDE} with crops of real people"
            raise InvalidValueError("search_side", wanted, str(search_side))
        if negative_pair_ratio and len(set(store.people)) < 2:
            wanted = "0 with a store of one person"
            raise InvalidValueError("negative_pair_ratio", wanted, str(negative_pair_ratio))
        self._store = store
        self._search_side = search_side
        self._negative_pair_ratio = negative_pair_ratio
        self._frame_range = frame_range

    def sample(self, rng: np.random.Generator) -> TrainingPair:
        """A random training pair; keypoints that are not annotated have v = 0."""
        store, side = self._store, self._search_side
        search_index = int(rng.integers(len(store)))
        is_positive = not (self._negative_pair_ratio and rng.uniform() < self._negative_pair_ratio)
        template_index = int(rng.choice(self._templates_for(search_index, is_positive)))
        later = store.picture(search_index)
        first = later if template_index == search_index else store.picture(template_index)
        stretch, mirror = float(np.exp(rng.normal(0, STRETCH))), bool(rng.uniform() < 0.5)
        to_template = draw_crop_map(TEMPLATE_SIDE, TEMPLATE_SHIFT, TEMPLATE_SCALE, rng, stretch, mirror)
        to_search = draw_crop_map(side, (side - TEMPLATE_SIDE) / 2, SEARCH_SCALE, rng, stretch, mirror)
        box_xyxy = _move_boxes(to_search, store.boxes_xyxy[search_index][None], side)[0]
        camera, size = _draw_camera(rng), float(np.sqrt(np.prod(box_xyxy[2:] - box_xyxy[:2])))
        template = degrade(warp(first, to_template, TEMPLATE_SIDE), camera, size, rng)
        search = degrade(warp(later, to_search, side), camera, size, rng)
        keypoints = move_keypoints(store.keypoints[template_index], to_template, mirror)
        others_xyxy = _move_boxes(to_search, store.others_xyxy(search_index), side)
        others_xyxy = others_xyxy[(others_xyxy[:, 2:] > others_xyxy[:, :2] + 1).all(axis=1)]
        return TrainingPair(template, search, box_xyxy, keypoints, is_positive, others_xyxy)

    def _templates_for(self, index: int, is_positive: bool) -> NDArray[np.int64]:
        """Indices of possible templates for a search crop: of its own person, or for a negative pair of all others."""
        if is_positive:
            return self._store.neighbours(index, self._frame_range)
        return np.flatnonzero(self._store.people != self._store.people[index])


def draw_crop_map(
    side: int, shift: float, scale: float, rng: np.random.Generator, stretch: float = 1.0, mirror: bool = False
) -> Affine:
    """A random map from a stored crop to a template or search crop within it.

    Args:
        side: Side of the template or search crop in pixels.
        shift: Largest distance of its centre from that of the stored crop, in pixels along each axis.
        scale: Largest relative difference between ``side`` and the width and height of the part that is cut, each of
            which is drawn by itself.
        rng: Draws shift and scale.
        stretch: Factor by which the crop is wider for its height than the part that is cut.
        mirror: Whether to swap left and right.
    """
    size = side * (1 + rng.uniform(-scale, scale, 2)) * (stretch**-0.5, stretch**0.5)
    size = np.minimum(size, CROP_SIDE)
    room = (CROP_SIDE - size) / 2
    corner = room + rng.uniform(-shift, shift, 2).clip(-room, room)
    ratio = side / size
    matrix = np.array([[ratio[0], 0, -ratio[0] * corner[0]], [0, ratio[1], -ratio[1] * corner[1]]])
    return matrix * [[-1], [1]] + [[0, 0, side], [0, 0, 0]] if mirror else matrix


def _draw_camera(rng: np.random.Generator) -> Degradation:
    """A camera, which may be so far away that a standing person is a third as tall as in the stored crop."""
    camera = draw_degradation(rng)
    if rng.uniform() < OWN_CAMERA:
        return camera._replace(
            resolution=1.0, defocus=0.0, noise=0.0, quality=None, sharpening=0.0, shake=0.0, light=0.0
        )
    if rng.uniform() < LOW_RESOLUTION:
        return camera._replace(resolution=float(np.exp(rng.uniform(np.log(0.3), 0))))
    return camera


def _move_boxes(matrix: Affine, boxes_xyxy: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Boxes (n, 4) of a stored crop in one of this side, clipped to it."""
    corners = move_points(matrix, boxes_xyxy.reshape(-1, 2, 2)).clip(0, side)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
