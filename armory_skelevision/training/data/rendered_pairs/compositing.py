"""Pasting cut-outs into a canvas: placement, recolouring and shadows.

Convention: positions are in pixel edges, as in `affine`.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.training.data.affine import Affine, move_points, shift_to_centres
from armory_skelevision.training.data.pair import Picture
from armory_skelevision.training.data.rendered_pairs.store import Cutout


class PlacedCutout(NamedTuple):
    """A person or object in a canvas."""

    cutout: Cutout
    """The cut-out."""
    matrix: Affine
    """(2, 3), from pixels of the cut-out's first level to canvas pixels."""
    colours: NDArray[np.float32] | None = None
    """(4, 4) recolouring as of `colour_matrix`; None for none."""

    @property
    def box_xyxy(self) -> NDArray[np.float64]:
        """Tight box (4,), canvas pixels."""
        hull = move_points(self.matrix, self.cutout.hull)
        return np.concatenate([hull.min(axis=0), hull.max(axis=0)])


def place(cutout: Cutout, height: float, centre: tuple[float, float], turn: float, mirror: bool) -> Affine:
    """The map, from pixels of a cut-out's first level to canvas pixels, that gives its figure a height and a position.

    Args:
        cutout: The cut-out.
        height: Height of the upright figure in canvas pixels.
        centre: Position of the middle of the figure's box, in canvas pixels.
        turn: Rotation about that middle, in radians.
        mirror: Whether to swap left and right.
    """
    low, high = cutout.hull.min(axis=0), cutout.hull.max(axis=0)
    scale = height / float(high[1] - low[1])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    if mirror:
        rotation = rotation @ np.diag([-1.0, 1.0])
    shift = np.asarray(centre) - rotation @ ((low + high) / 2)
    return np.concatenate([rotation, shift[:, None]], axis=1)


def colour_matrix(hue: float, saturation: float, gain: float, offset: float) -> NDArray[np.float32]:
    """A recolouring as one (4, 4) matrix for premultiplied BGRA, so that it commutes with transparency.

    Args:
        hue: Rotation about the grey axis, in radians.
        saturation: Factor of the saturation: 0 for grey, 1 for no change.
        gain: Factor of the brightness.
        offset: Added brightness, on the scale 0..255.
    """
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    rotation = np.cos(hue) * np.eye(3) + np.sin(hue) * cross + (1 - np.cos(hue)) * axis
    matrix = np.eye(4)
    matrix[:3, :3] = gain * (saturation * rotation + (1 - saturation) * axis)
    matrix[:3, 3] = offset / 255
    return matrix.astype(np.float32)


def paste(canvas: Picture, placed: PlacedCutout, soft: float = 0.0) -> None:
    """Paste a cut-out into the canvas, in place.

    The layer is blurred by ``soft`` canvas pixels, alpha included, so that no cutting edge shows.
    """
    region = _region(canvas, placed.box_xyxy)
    if region is None:
        return
    layer = _warp(placed, region)
    if placed.colours is not None:
        layer = cv2.transform(layer, placed.colours)
        layer[..., :3] = np.minimum(layer[..., :3], layer[..., 3:])
    if soft > 0.2:
        layer = cv2.GaussianBlur(layer, (0, 0), soft)
    x1, y1, x2, y2 = region
    target = canvas[y1:y2, x1:x2]
    keep = cv2.merge([255 - layer[..., 3]] * 3)
    target[:] = cv2.add(cv2.multiply(target, keep, scale=1 / 255), np.ascontiguousarray(layer[..., :3]))


def paste_shadow(canvas: Picture, placed: PlacedCutout, sun: tuple[float, float], strength: float) -> None:
    """Darken the ground with a figure's shadow and, beneath its feet, with a soft spot, in place.

    Args:
        canvas: The picture to darken.
        placed: The figure, to be pasted afterwards.
        sun: End of the shadow of an upright stick of length 1, relative to its foot, along the canvas axes.
        strength: From 0, no shadow, to 1, black.
    """
    box_xyxy, matrix = placed.box_xyxy, placed.matrix
    foot = np.array([(box_xyxy[0] + box_xyxy[2]) / 2, box_xyxy[3]])
    lie_down = np.array([[1.0, -sun[0]], [0.0, -sun[1]]])
    shift = lie_down @ (matrix[:, 2] - foot) + foot
    lying = placed._replace(matrix=np.concatenate([lie_down @ matrix[:, :2], shift[:, None]], axis=1))
    region = _region(canvas, lying.box_xyxy)
    height = float(box_xyxy[3] - box_xyxy[1])
    if region is not None and strength > 0.05:
        alpha = _warp(lying, region, only_alpha=True)
        _darken(canvas, region, cv2.blur(alpha, (3, 3)), strength)
    reach = np.array([box_xyxy[2] - box_xyxy[0], height * 0.12]) * 0.6
    spot = _region(canvas, np.concatenate([foot - reach, foot + reach]))
    if spot is not None:
        xs = (np.arange(spot[0], spot[2]) + 0.5 - foot[0]) / reach[0]
        ys = (np.arange(spot[1], spot[3]) + 0.5 - foot[1]) / reach[1]
        falloff = np.clip(1 - xs[None] ** 2 - ys[:, None] ** 2, 0, 1)
        _darken(canvas, spot, (falloff * 255).astype(np.uint8), 0.35 + 0.5 * strength)


def _darken(canvas: Picture, region: tuple[int, int, int, int], alpha: Picture, strength: float) -> None:
    x1, y1, x2, y2 = region
    keep = 255 - cv2.multiply(alpha, np.ones_like(alpha), scale=min(1.0, strength))
    canvas[y1:y2, x1:x2] = cv2.multiply(canvas[y1:y2, x1:x2], cv2.merge([keep] * 3), scale=1 / 255)


def _warp(placed: PlacedCutout, region: tuple[int, int, int, int], only_alpha: bool = False) -> NDArray[np.uint8]:
    """The cut-out's pixels over a region of the canvas, from the pyramid level that needs the least shrinking."""
    levels = placed.cutout.levels
    scale = float(np.sqrt(abs(np.linalg.det(placed.matrix[:, :2]))))
    level = int(np.clip(np.floor(-np.log2(max(scale, 1e-6)) + 0.25), 0, len(levels) - 1))
    picture = levels[level]
    ratio = np.array(levels[0].shape[1::-1]) / np.array(picture.shape[1::-1])
    local = placed.matrix.copy()
    local[:, :2] *= ratio
    local[:, 2] -= region[:2]
    size = (region[2] - region[0], region[3] - region[1])
    source = cv2.extractChannel(picture, 3) if only_alpha else picture
    return np.asarray(cv2.warpAffine(source, shift_to_centres(local), size, flags=cv2.INTER_LINEAR), np.uint8)


def _region(canvas: Picture, box_xyxy: NDArray[np.float64]) -> tuple[int, int, int, int] | None:
    """Whole pixels of the canvas around a box, with a margin of 2; None if the box lies outside."""
    x1, y1 = (int(value) for value in np.maximum(np.floor(box_xyxy[:2]) - 2, 0))
    x2 = int(min(np.ceil(box_xyxy[2]) + 2, canvas.shape[1]))
    y2 = int(min(np.ceil(box_xyxy[3]) + 2, canvas.shape[0]))
    return (x1, y1, x2, y2) if x2 - x1 >= 2 and y2 - y1 >= 2 else None
