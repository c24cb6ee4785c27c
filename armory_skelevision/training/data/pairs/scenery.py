"""What surrounds the target of a training pair: backdrops from scenes and procedural textures, and pasted things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.pairs.clutter import draw_blob_mask, draw_colour, draw_texture
from armory_skelevision.training.data.pairs.painting import shift_to_centres
from armory_skelevision.training.data.pairs.pair import NO_KEYPOINTS
from armory_skelevision.training.data.pairs.store import Cutout, make_cutout

Picture = NDArray[np.uint8]
Scene = tuple[Picture, Picture]


class Backdrop(NamedTuple):
    """A place: which pictures it shows, and how it is looked at.

    Attributes:
        scenes: One scene, or two that are blended.
        blend: Weight of the second.
        mirror: Swap left and right.
        turn: Radians.
        zoom: Scene pixels per canvas pixel, where the canvas has the size of a frame's crop.
        centre: Of the view, as shares of the scene's width and height.
        gains: Factors of the three channels.
    """

    scenes: tuple[Scene, ...]
    blend: float
    mirror: bool
    turn: float
    zoom: float
    centre: NDArray[np.float64]
    gains: NDArray[np.float64]


class Scenery:
    """Draws backdrops and things.

    Args:
        scenes: Rendered scenes, pictures of full and of half size.
        seed: Of the procedural textures and the things, which are made once.
        textures: How many procedural textures to make; they serve as scenes, too.
        things: How many things to cut out.
    """

    def __init__(self, scenes: Sequence[Scene], seed: int, textures: int = 160, things: int = 400) -> None:
        rng = np.random.default_rng(seed)
        self.scenes = list(scenes)
        self.textures = [_with_half(draw_texture(rng, (420, 320))) for _ in range(textures)]
        self.things = [self._cut_thing(rng) for _ in range(things)]
        self.posters = [self._cut_poster(rng) for _ in range(max(1, things // 6))]
        self.poles = [self._cut_pole(rng) for _ in range(max(1, things // 10))]

    def draw_backdrop(self, rng: np.random.Generator) -> Backdrop:
        """A random place."""
        count = 2 if rng.uniform() < 0.15 else 1
        odd = rng.uniform() < 0.2
        return Backdrop(
            scenes=tuple(self._draw_scene(rng) for _ in range(count)),
            blend=rng.uniform(0.15, 0.6),
            mirror=bool(rng.uniform() < 0.5),
            turn=rng.uniform(-np.pi, np.pi) if odd else rng.normal(0, 0.04),
            zoom=float(np.exp(rng.uniform(-0.9, 0.4))),
            centre=np.array([rng.uniform(0.15, 0.85), rng.uniform(0.25, 0.85)]),
            gains=np.exp(rng.standard_normal(3) * (0.25 if odd else 0.06) + rng.normal(0, 0.15)),
        )

    def move_backdrop(self, backdrop: Backdrop, reach: float, rng: np.random.Generator) -> Backdrop:
        """The same place a little later: the camera, or the person with it, has moved by about ``reach`` of a scene."""
        if rng.uniform() < 0.12:
            return self.draw_backdrop(rng)
        return backdrop._replace(
            turn=backdrop.turn + rng.normal(0, 0.03),
            zoom=backdrop.zoom * float(np.exp(rng.normal(0, 0.1))),
            centre=backdrop.centre + rng.standard_normal(2) * (reach, reach * 0.5),
        )

    def _draw_scene(self, rng: np.random.Generator) -> Scene:
        bank = self.scenes if rng.uniform() < 0.72 else self.textures
        return bank[rng.integers(len(bank))]

    def _cut_thing(self, rng: np.random.Generator) -> Cutout:
        """A piece of a scene or a texture within a random outline."""
        size = (int(rng.integers(40, 130)), int(rng.integers(50, 160)))
        mask = draw_blob_mask(rng, size)
        return make_cutout(np.dstack([self._cut_patch(rng, size), mask]), NO_KEYPOINTS)

    def _cut_poster(self, rng: np.random.Generator) -> Cutout:
        """A screen or poster: plain, chequered, striped or pictured."""
        size = (int(rng.integers(60, 150)), int(rng.integers(50, 130)))
        patch = self._cut_patch(rng, size)
        kind = rng.uniform()
        if kind < 0.3:
            patch[:] = (58, 144, 0) if kind < 0.12 else draw_colour(rng, rng.uniform(0, 1))
        elif kind < 0.55:
            cells = rng.integers(0, 256, (int(rng.integers(2, 12)), int(rng.integers(2, 12)), 3), dtype=np.uint8)
            patch = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        return make_cutout(np.dstack([patch, np.full(size[::-1], 255, np.uint8)]), NO_KEYPOINTS)

    def _cut_pole(self, rng: np.random.Generator) -> Cutout:
        """A post, a trunk, a pillar: tall and shaded like something round."""
        size = (int(rng.integers(8, 40)), 240)
        patch = self._cut_patch(rng, size)
        if rng.uniform() < 0.5:
            patch[:] = draw_colour(rng)
        shade = 0.55 + 0.6 * np.sin(np.linspace(0.2, 2.6, size[0]) + rng.uniform(0, 0.5))[None, :, None]
        patch = np.clip(patch * shade, 0, 255).astype(np.uint8)
        return make_cutout(np.dstack([patch, np.full(size[::-1], 255, np.uint8)]), NO_KEYPOINTS)

    def _cut_patch(self, rng: np.random.Generator, size: tuple[int, int]) -> Picture:
        full, half = self._draw_scene(rng)
        picture = full if rng.uniform() < 0.5 else half
        x = int(rng.integers(max(1, picture.shape[1] - size[0])))
        y = int(rng.integers(max(1, picture.shape[0] - size[1])))
        patch = picture[y : y + size[1], x : x + size[0]]
        return np.asarray(cv2.resize(patch, size), np.uint8).copy()


def paint_backdrop(backdrop: Backdrop, side: int, frame_side: float, middle: tuple[float, float]) -> Picture:
    """A square view of a place.

    Args:
        backdrop: The place.
        side: Of the canvas, pixels.
        frame_side: How many frame pixels the canvas stands for (more than ``side`` where it is shrunken).
        middle: The canvas position that shows the backdrop's ``centre``.

    Returns:
        (side, side, 3) uint8 BGR.
    """
    layers = [_view(scene, backdrop, side, frame_side, middle) for scene in backdrop.scenes]
    canvas = layers[0]
    if len(layers) > 1:
        canvas = cv2.addWeighted(layers[0], 1 - backdrop.blend, layers[1], backdrop.blend, 0)
    table = np.clip(np.arange(256)[:, None] * backdrop.gains, 0, 255).astype(np.uint8).reshape(256, 1, 3)
    return np.asarray(cv2.LUT(canvas, table), np.uint8)


def _view(scene: Scene, backdrop: Backdrop, side: int, frame_side: float, middle: tuple[float, float]) -> Picture:
    height, width = scene[0].shape[:2]
    scale = min(backdrop.zoom * frame_side / side, 1.1 * height / side)
    picture = scene[0] if scale < 1.5 else scene[1]
    cosine, sine = np.cos(backdrop.turn) * scale, np.sin(backdrop.turn) * scale
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    if backdrop.mirror:
        matrix[:, 0] *= -1
    half = np.abs(matrix).sum(axis=1) * side / 2
    size = np.array([width, height])
    margin = np.minimum(half, size / 2)  # stay within the scene where it is large enough
    centre = np.clip(backdrop.centre * size, margin, size - margin)
    to_scene = np.concatenate([matrix, (centre - matrix @ np.asarray(middle))[:, None]], axis=1)
    to_scene *= picture.shape[1] / width
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        picture, shift_to_centres(to_scene), (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _with_half(picture: Picture) -> Scene:
    half = cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return picture, np.asarray(half, np.uint8)
