"""A video to measure on: a person walks to and fro before a green screen in a street, filmed by a moving camera.

Everything is drawn around the middle of the frame and has the same size in frames of any size, so that larger frames
add surroundings and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# Corners of the screen and size of the person, in pixels; the corners are measured from the middle of the scene.
SCREEN_XY = np.array([[-95, -75], [75, -66], [73, 62], [-92, 70]], dtype=np.float64)
PERSON_WH = (30, 80)
GREEN_SCREEN = (0x00, 0x90, 0x3A)
# How far the camera swings to each side, and the person from the middle of the screen.
SWING_XY = (14, 5)
WALK = 50
SKIN, SHIRT, TROUSERS = (210, 160, 130), (180, 40, 40), (40, 40, 90)

Picture = NDArray[np.uint8]


class Scene(NamedTuple):
    """One video of F frames as ARMORY hands it to an attack: arguments of ``generate``."""

    x: NDArray[np.float32]
    """(1, F, H, W, 3) RGB in [0, 1]."""
    y: list[dict[str, Any]]
    """The true boxes (F, 4) xyxy in pixels, under ``boxes``."""
    metadata: list[dict[str, Any]]
    """``gs_coords`` (F, 4, 2), and ``masks`` (F, H, W, 3), 1 where the screen is visible."""


def draw_scene(frames: int, height: int, width: int, seed: int = 0) -> Scene:
    """Draw the video.

    Args:
        frames: Number of frames.
        height: Frame height in pixels.
        width: Frame width in pixels.
        seed: Seed of the street and of the grain.
    """
    rng = np.random.default_rng(seed)
    street = _draw_street(rng, height + 2 * SWING_XY[1], width + 2 * SWING_XY[0])
    x = np.empty((1, frames, height, width, 3), dtype=np.float32)
    masks = np.empty((frames, height, width, 3), dtype=np.uint8)
    corners = np.empty((frames, 4, 2), dtype=np.int64)
    boxes_xyxy = np.empty((frames, 4), dtype=np.float32)
    for t in range(frames):
        swing_x, swing_y = round(SWING_XY[0] * math.sin(t / 5)), round(SWING_XY[1] * math.sin(t / 3))
        middle_xy = np.array([width // 2 - swing_x, height // 2 - swing_y])
        left, top = SWING_XY[0] + swing_x, SWING_XY[1] + swing_y
        frame = street[top : top + height, left : left + width].copy()
        # As the camera passes, the screen looks wider and narrower.
        corners[t] = np.round(SCREEN_XY * [1 + 0.04 * math.sin(t / 6), 1] + middle_xy)
        mask = _draw_screen(frame, corners[t])
        x1, y1 = middle_xy[0] + round(WALK * math.sin(t / 10)) - PERSON_WH[0] // 2, middle_xy[1] - PERSON_WH[1] // 2
        boxes_xyxy[t] = x1, y1, x1 + PERSON_WH[0], y1 + PERSON_WH[1]
        _draw_person(frame, mask, int(x1), int(y1), stride=math.sin(t / 2))
        grain = rng.integers(-4, 5, (height, width, 1), dtype=np.int16)
        np.divide((frame + grain).clip(0, 255), np.float32(255), out=x[0, t])
        masks[t] = mask[..., None]
    return Scene(x, [{"boxes": boxes_xyxy}], [{"gs_coords": corners, "masks": masks}])


def _draw_street(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Blurred blocks, so that there is texture at any place and no two places look alike."""
    grid = (height // 24 + 2, width // 24 + 2)
    blocks = rng.integers(60, 180, (*grid, 1)) + rng.integers(0, 40, (*grid, 3))
    street: Picture = cv2.resize(blocks.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return street


def _draw_screen(frame: Picture, corners_xy: NDArray[np.int64]) -> Picture:
    """Paint the screen, a little darker towards the right, and return where it is: (H, W), 1 or 0."""
    mask = np.zeros(frame.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [corners_xy.astype(np.int32)], 1)
    light = np.linspace(1.0, 0.8, frame.shape[1])[None, :, None]
    seen = mask == 1
    frame[seen] = np.round(light * GREEN_SCREEN).astype(np.uint8).repeat(len(frame), axis=0)[seen]
    return mask


def _draw_person(frame: Picture, mask: Picture, x1: int, y1: int, stride: float) -> None:
    """Paint a figure that fills its box and take it out of the screen's mask; ``stride`` in [-1, 1] moves the legs."""
    width, height = PERSON_WH
    middle, hip = x1 + width // 2, y1 + height * 55 // 100
    shapes = np.zeros_like(mask)
    cv2.circle(shapes, (middle, y1 + 8), 8, 1, -1)
    cv2.ellipse(shapes, (middle, y1 + 32), (width // 2 - 1, 17), 0, 0, 360, 2, -1)
    for side in (-1, 1):
        foot_x = middle + round(side * stride * (width // 2 - 5))
        cv2.line(shapes, (middle + 4 * side, hip), (foot_x, y1 + height - 4), 3, 7)
    for value, colour in enumerate((SKIN, SHIRT, TROUSERS), start=1):
        frame[shapes == value] = colour
    mask[shapes > 0] = 0
