"""Training pairs from crops of real people: two crops of a person, shifted, scaled, recoloured and blurred.

Shifts, scales and the share of blurred search crops are those of PySOT's training; the template is at most 10 frames
away from the search frame (Das et al. 2022), and is cut from the same picture where there is no video. How colours
change and how long the blur is are our own choice.

Convention: pixel edges; boxes and keypoints in pixels of the crop they belong to.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.crops.cutting import CROP_SIDE, warp
from armory_skelevision.training.data.crops.store import CropStore
from armory_skelevision.training.data.pairs.degrade import motion_kernel
from armory_skelevision.training.data.pairs.painting import Affine, colour_matrix, move_points
from armory_skelevision.training.data.pairs.pair import SEARCH_SIDE, TEMPLATE_SIDE, Pair, move_keypoints

REACH = 10  # frames between template and search frame
TEMPLATE_SHIFT, TEMPLATE_SCALE = 4, 0.05
SEARCH_SCALE = 0.18
BLURRED = 0.2  # share of the search crops
LARGEST_SEARCH_SIDE = 431  # shown at its smallest scale, a larger one would reach beyond the stored crop


class CropPairs:
    """Draws pairs from a store of crops. The same generator state gives the same pair.

    Args:
        store: The crops.
        search_side: Side of the search crops in pixels.
        strangers: Share of the pairs whose search crop is somebody else's.

    Raises:
        ValueError: The search crops are to be larger than the stored ones allow, or there shall be strangers where all
            crops are of one person.
    """

    def __init__(self, store: CropStore, search_side: int = SEARCH_SIDE, strangers: float = 0.0) -> None:
        if search_side > LARGEST_SEARCH_SIDE:
            raise ValueError(f"search_side: expected at most {LARGEST_SEARCH_SIDE} with crops, got {search_side}")
        if strangers and len(set(store.people)) < 2:
            raise ValueError("strangers: all crops of the store are of one person")
        self._store = store
        self._search_side = search_side
        self._strangers = strangers

    def pair(self, rng: np.random.Generator) -> Pair:
        """A random training pair; its keypoints have v = 0 where nobody annotated them."""
        store, side = self._store, self._search_side
        search_index = int(rng.integers(len(store)))
        is_target = not (self._strangers and rng.uniform() < self._strangers)
        template_index = int(rng.choice(self._templates_for(search_index, is_target)))
        later = store.picture(search_index)
        first = later if template_index == search_index else store.picture(template_index)
        to_template = draw_view(TEMPLATE_SIDE, TEMPLATE_SHIFT, TEMPLATE_SCALE, rng)
        to_search = draw_view(side, (side - TEMPLATE_SIDE) / 2, SEARCH_SCALE, rng)
        template = _recolour(warp(first, to_template, TEMPLATE_SIDE), rng)
        search = _recolour(warp(later, to_search, side), rng)
        if rng.uniform() < BLURRED:
            kernel = motion_kernel(rng.uniform(2, 12), rng.uniform(0, np.pi))
            search = np.asarray(cv2.filter2D(search, -1, kernel), np.uint8)
        corners = store.boxes_xyxy[search_index].reshape(2, 2)
        box_xyxy = move_points(to_search, corners).reshape(4).clip(0, side).astype(np.float32)
        keypoints = move_keypoints(store.keypoints[template_index], to_template)
        return Pair(template, search, box_xyxy, keypoints, is_target)

    def _templates_for(self, index: int, is_target: bool) -> NDArray[np.int64]:
        """Crops that may be the template to search crop ``index``: its own person's, or everybody else's."""
        if is_target:
            return self._store.neighbours(index, REACH)
        return np.flatnonzero(self._store.people != self._store.people[index])


def draw_view(side: int, shift: float, scale: float, rng: np.random.Generator) -> Affine:
    """A random map from a stored crop to the crop that the network sees.

    Args:
        side: Of the crop to be seen, pixels.
        shift: Longest way of its middle from that of the stored crop, pixels along each axis.
        scale: Width and height of the part that is seen differ from ``side`` by at most this share, each by its own.
        rng: Draws.

    Returns:
        (2, 3), edges to edges. The part lies within the stored crop.
    """
    size = side * (1 + rng.uniform(-scale, scale, 2))
    room = (CROP_SIDE - size) / 2
    corner = room + rng.uniform(-shift, shift, 2).clip(-room, room)
    ratio = side / size
    return np.array([[ratio[0], 0, -ratio[0] * corner[0]], [0, ratio[1], -ratio[1] * corner[1]]])


def _recolour(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    matrix = colour_matrix(
        hue=rng.normal(0, 0.08),
        saturation=float(np.exp(rng.normal(0, 0.15))),
        gain=float(np.exp(rng.normal(0, 0.12))),
        offset=0,
    )[:3, :3]
    offset = rng.normal(0, 8, (3, 1)) * rng.choice([0.5, 1.0])
    return np.asarray(cv2.transform(picture, np.concatenate([matrix, offset], axis=1)), np.uint8)
