"""Follows a flat surface, such as a wall that a patch is to be shown on, through the movements of a camera.

Corners of texture around the surface are followed by optical flow (Lucas and Kanade 1981; OpenCV's pyramids) from a key
frame, and a homography is fitted to them by RANSAC. As long as enough of them are found, the key frame stays, so errors
do not add up; else the frame before becomes the next key frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import read_numbers
from armory_skelevision.validation import InvalidValueError

AROUND = 1.6
"""Size of the area whose texture is followed, in units of the surface's; what lies further off moves in other ways."""
MIN_POINTS = 12
"""Fewer points that agree say nothing about the camera; a homography takes four."""
ENOUGH_POINTS = 20
"""With fewer points around the surface, those of the whole frame are followed."""
FEW_POINTS = 0.5
"""Share of a key frame's points below which another one is taken."""
MAX_ERROR = 2.0
"""Pixels between a point and where the homography puts it."""
REACH = 10
"""Pixels around a point that its flow is computed from."""
SIDE = 4.0
"""Pixels that each side of a surface has at least."""

_find_points = partial(cv2.goodFeaturesToTrack, maxCorners=600, qualityLevel=0.01, minDistance=6)
_flow = partial(
    cv2.calcOpticalFlowPyrLK,
    winSize=(2 * REACH + 1, 2 * REACH + 1),
    maxLevel=4,
    flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
)

Points = NDArray[np.float32]


class _Key(NamedTuple):
    """A key frame, its points (N, 1, 2) near the surface and everywhere, and where the surface is in it."""

    grey: NDArray[np.uint8]
    near: Points
    everywhere: Points
    corners_xy: NDArray[np.float64]


def follow_screen(
    frames: Iterable[NDArray[np.uint8]], corners_xy: ArrayLike, moving_xyxy: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Find a flat surface in every frame.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        corners_xy: Its corners in the first frame, (4, 2) in pixels, clockwise from its top left.
        moving_xyxy: Boxes (F, 4) of what moves on its own, such as the target, whose texture is not followed.

    Returns:
        The corners in each frame, (F, 4, 2); they may leave the frame.

    Raises:
        InvalidValueError: For corners that are not those of a convex quadrilateral, or a frame in which the camera
            cannot be followed: too little texture, too much blur, or a cut.
    """
    corners = read_corners(corners_xy)
    # The flow of a point is that of what surrounds it, so a border of that size is left out, too.
    moving = None if moving_xyxy is None else np.asarray(moving_xyxy, np.float64) + REACH * np.array([-1, -1, 1, 1])
    found: list[NDArray[np.float64]] = []
    keys: list[_Key] = []  # the key frame, and the frame before if it is another
    for index, frame in enumerate(frames):
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        box_xyxy = None if moving is None else moving[index]
        if keys:
            key, homography = _follow(keys, grey, found[-1], box_xyxy)
            if homography is None:
                expected = f"at least {MIN_POINTS} points of texture that move together"
                fix = "choose a screen on a textured flat surface, or end the video before this frame (--frames)"
                raise InvalidValueError(f"screen, frame {index}", expected, "fewer: the camera cannot be followed", fix)
            corners = cv2.perspectiveTransform(key.corners_xy[None], homography)[0]
            keys = [key]
        found.append(corners)
        keys.append(_Key(grey, *_choose_points(grey, corners, box_xyxy), corners))
    return np.stack(found)


def _follow(
    keys: list[_Key], grey: NDArray[np.uint8], latest_xy: NDArray[np.float64], box_xyxy: ArrayLike | None
) -> tuple[_Key, NDArray[np.float64] | None]:
    """The key frame that a frame is compared with, and the homography from there; None where there is none."""
    near = [(key, _fit(key, key.near, grey, latest_xy, box_xyxy)) for key in keys]
    for key, (homography, count) in near:
        if homography is not None and count >= max(ENOUGH_POINTS, FEW_POINTS * len(key.near)):
            return key, homography
    wide = [(key, _fit(key, key.everywhere, grey, latest_xy, box_xyxy)) for key in keys]
    for key, (homography, count) in wide:
        if homography is not None and count >= FEW_POINTS * len(key.everywhere):
            return key, homography
    key, (homography, _) = max([*near, *wide], key=lambda fit: fit[1][1])
    return key, homography


def read_corners(corners_xy: ArrayLike) -> NDArray[np.float64]:
    """Corners (4, 2) of a convex quadrilateral, in pixels; `InvalidValueError` for anything else."""
    expected = "four corners x, y in pixels, going around a convex screen from its top left"
    corners = read_numbers("screen", corners_xy, expected).astype(np.float64)
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise InvalidValueError("screen", expected, f"{np.asarray(corners_xy).tolist()!r:.80}")
    sides = np.roll(corners, -1, axis=0) - corners
    ahead = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * ahead[:, 1] - sides[:, 1] * ahead[:, 0]
    if (turns <= 0).any() or (np.linalg.norm(sides, axis=1) < SIDE).any():
        got = f"{corners.tolist()}, which cross, turn anticlockwise, or have a side below {SIDE:g} pixels"
        raise InvalidValueError("screen", expected, got, "top left, top right, bottom right, bottom left")
    return corners


def _choose_points(
    grey: NDArray[np.uint8], corners_xy: NDArray[np.float64], box_xyxy: ArrayLike | None
) -> tuple[Points, Points]:
    """Points to follow, (N, 1, 2): those around the surface, and those in the whole frame."""
    middle = corners_xy.mean(axis=0)
    near = np.zeros_like(grey)
    cv2.fillConvexPoly(near, np.rint(middle + AROUND * (corners_xy - middle)).clip(-9999, 9999).astype(np.int32), 255)
    found = []
    for area in (near, np.full_like(grey, 255)):
        if box_xyxy is not None:
            x1, y1, x2, y2 = np.rint(box_xyxy).clip(0, 9999).astype(int)
            area[y1:y2, x1:x2] = 0
        points = _find_points(grey, mask=area)
        found.append(np.zeros((0, 1, 2), np.float32) if points is None else np.asarray(points, np.float32))
    return found[0], found[1]


def _fit(
    key: _Key,
    points: Points,
    grey: NDArray[np.uint8],
    latest_xy: NDArray[np.float64],
    box_xyxy: ArrayLike | None,
) -> tuple[NDArray[np.float64] | None, int]:
    """The homography that points of a key frame follow to a frame, and how many do; None where too few do."""
    if len(points) < MIN_POINTS:
        return None, 0
    guess, _ = cv2.findHomography(key.corners_xy, latest_xy)
    start = points if guess is None else cv2.perspectiveTransform(points, guess)
    moved, there, _ = _flow(key.grey, grey, points, np.array(start, np.float32))
    back, again, _ = _flow(grey, key.grey, moved, points.copy())
    same = np.linalg.norm(back - points, axis=2).ravel() < 1
    good = same & (there.ravel() == 1) & (again.ravel() == 1) & ~_inside(moved[:, 0], box_xyxy)
    if good.sum() < MIN_POINTS:
        return None, 0
    homography, agree = cv2.findHomography(points[good], moved[good], cv2.RANSAC, MAX_ERROR)
    if homography is None or agree.sum() < MIN_POINTS:
        return None, 0
    return np.asarray(homography, np.float64), int(agree.sum())


def _inside(points_xy: NDArray[np.float32], box_xyxy: ArrayLike | None) -> NDArray[np.bool_]:
    """Which points (N, 2) lie in a box (4,), if there is one: they are hidden by what moves on its own."""
    if box_xyxy is None:
        return np.zeros(len(points_xy), np.bool_)
    x1, y1, x2, y2 = np.asarray(box_xyxy)
    x, y = points_xy.T
    return np.asarray((x >= x1) & (x < x2) & (y >= y1) & (y < y2))
