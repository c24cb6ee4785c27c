"""Backgrounds of training pairs, from scenes and procedural textures, and cut-outs of objects, posters and poles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import shift_to_centres
from armory_skelevision.training.data.pair import NO_KEYPOINTS, Picture
from armory_skelevision.training.data.rendered_pairs.store import Cutout, SceneImages, add_half, make_cutout
from armory_skelevision.training.data.rendered_pairs.textures import draw_blob_mask, draw_colour, draw_texture


class Background(NamedTuple):
    """A background: its images and the view of them."""

    scenes: tuple[SceneImages, ...]
    """One scene, or two that are blended."""
    blend: float
    """Weight of the second scene."""
    mirror: bool
    """Whether left and right are swapped."""
    turn: float
    """Rotation in radians."""
    zoom: float
    """Scene pixels per canvas pixel, where the canvas has the size of a frame's crop."""
    centre: NDArray[np.float64]
    """(2,), centre of the view as shares of the scene's width and height."""
    gains: NDArray[np.float64]
    """(3,), factors of the channels."""


class BackgroundSampler:
    """Draws backgrounds, and makes cut-outs of objects, posters and poles.

    Args:
        scenes: Rendered scenes.
        seed: Seed of the procedural textures and the cut-outs, which are made once.
        textures: Number of procedural textures, which serve as scenes too.
        objects: Number of cut-outs of objects.

    Attributes:
        objects: Pieces of scenes or textures with random outlines.
        posters: Screens and posters.
        poles: Posts, trunks and pillars.
    """

    def __init__(self, scenes: Sequence[SceneImages], seed: int, textures: int = 160, objects: int = 400) -> None:
        rng = np.random.default_rng(seed)
        self.scenes = list(scenes)
        self.textures = [add_half(draw_texture(rng, (420, 320))) for _ in range(textures)]
        self.objects = [self._cut_object(rng) for _ in range(objects)]
        self.posters = [self._cut_poster(rng) for _ in range(max(1, objects // 6))]
        self.poles = [self._cut_pole(rng) for _ in range(max(1, objects // 10))]

    def sample(self, rng: np.random.Generator) -> Background:
        """A random background."""
        count = 2 if rng.uniform() < 0.15 else 1
        odd = rng.uniform() < 0.2
        return Background(
            scenes=tuple(self._draw_scene(rng) for _ in range(count)),
            blend=rng.uniform(0.15, 0.6),
            mirror=bool(rng.uniform() < 0.5),
            turn=rng.uniform(-np.pi, np.pi) if odd else rng.normal(0, 0.04),
            zoom=float(np.exp(rng.uniform(-0.9, 0.4))),
            centre=np.array([rng.uniform(0.15, 0.85), rng.uniform(0.25, 0.85)]),
            gains=np.exp(rng.standard_normal(3) * (0.25 if odd else 0.06) + rng.normal(0, 0.15)),
        )

    def move(self, background: Background, reach: float, rng: np.random.Generator) -> Background:
        """The background a little later, after a movement of camera or person; now and then another background.

        The movement's standard deviation is ``reach``, as a share of the scene's width.
        """
        if rng.uniform() < 0.12:
            return self.sample(rng)
        return background._replace(
            turn=background.turn + rng.normal(0, 0.03),
            zoom=background.zoom * float(np.exp(rng.normal(0, 0.1))),
            centre=background.centre + rng.standard_normal(2) * (reach, reach * 0.5),
        )

    def _draw_scene(self, rng: np.random.Generator) -> SceneImages:
        bank = self.scenes if rng.uniform() < 0.72 else self.textures
        return bank[rng.integers(len(bank))]

    def _cut_object(self, rng: np.random.Generator) -> Cutout:
        """A piece of a scene or a texture within a random outline."""
        size = (int(rng.integers(40, 130)), int(rng.integers(50, 160)))
        mask = draw_blob_mask(rng, size)
        return make_cutout(np.dstack([self._cut_patch(rng, size), mask]), NO_KEYPOINTS)

    def _cut_poster(self, rng: np.random.Generator) -> Cutout:
        """A screen or poster: plain, chequered, or with a piece of a scene or texture."""
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
        """A post, trunk or pillar: tall and shaded like a cylinder."""
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


def render_background(background: Background, side: int, frame_side: float, middle: tuple[float, float]) -> Picture:
    """A square view (side, side, 3) of a background.

    Args:
        background: The background.
        side: Side of the canvas in pixels.
        frame_side: Side of the canvas in frame pixels (more than ``side`` where the canvas is shrunk).
        middle: Canvas position of the background's ``centre``.
    """
    layers = [_warp_scene(scene, background, side, frame_side, middle) for scene in background.scenes]
    canvas = layers[0]
    if len(layers) > 1:
        canvas = cv2.addWeighted(layers[0], 1 - background.blend, layers[1], background.blend, 0)
    table = np.clip(np.arange(256)[:, None] * background.gains, 0, 255).astype(np.uint8).reshape(256, 1, 3)
    return np.asarray(cv2.LUT(canvas, table), np.uint8)


def _warp_scene(
    scene: SceneImages, background: Background, side: int, frame_side: float, middle: tuple[float, float]
) -> Picture:
    height, width = scene[0].shape[:2]
    scale = min(background.zoom * frame_side / side, 1.1 * height / side)
    picture = scene[0] if scale < 1.5 else scene[1]
    cosine, sine = np.cos(background.turn) * scale, np.sin(background.turn) * scale
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    if background.mirror:
        matrix[:, 0] *= -1
    half = np.abs(matrix).sum(axis=1) * side / 2
    size = np.array([width, height])
    margin = np.minimum(half, size / 2)  # stay within the scene where it is large enough
    centre = np.clip(background.centre * size, margin, size - margin)
    to_scene = np.concatenate([matrix, (centre - matrix @ np.asarray(middle))[:, None]], axis=1)
    to_scene *= picture.shape[1] / width
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        picture, shift_to_centres(to_scene), (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)
