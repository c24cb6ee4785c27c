"""Follows a flat surface, such as a wall that a patch is to be shown on, through the movements of a camera.

Corners of texture around the surface are followed by optical flow (Lucas and Kanade 1981; OpenCV's pyramids) from a key
frame, and a homography is fitted to them by RANSAC. As long as enough of them are found, the key frame stays, so errors
do not add up; else the frame before becomes the next key frame.
"""

from __future__ import annotations

from collections.abc import Iterable
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
FEW_POINTS = 0.5
"""Share of a key frame's points below which another one is taken."""
MAX_ERROR = 2.0
"""Pixels between a point and where the homography puts it."""
SIDE = 4.0
"""Pixels that each side of a surface has at least."""

_FEATURES = {"maxCorners": 600, "qualityLevel": 0.01, "minDistance": 6}
_FLOW = {"winSize": (21, 21), "maxLevel": 4}

Points = NDArray[np.float32]


class _Key(NamedTuple):
    """A key frame, its points (N, 1, 2), and where the surface is in it."""

    grey: NDArray[np.uint8]
    points: Points
    corners_xy: NDArray[np.float64]


def follow_screen(
    frames: Iterable[NDArray[np.uint8]], corners_xy: ArrayLike, moving_xyxy: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Find a flat surface in every frame.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        corners_xy: Its corners in the first frame, (4, 2) in pixels, going around it.
        moving_xyxy: Boxes (F, 4) of what moves on its own, such as the target, whose texture is not followed.

    Returns:
        The corners in each frame, (F, 4, 2); they may leave the frame.

    Raises:
        InvalidValueError: For corners that are not those of a convex quadrilateral, or a frame in which the camera
            cannot be followed: too little texture, too much blur, or a cut.
    """
    corners = read_corners(corners_xy)
    moving = None if moving_xyxy is None else np.asarray(moving_xyxy, np.float64)
    found: list[NDArray[np.float64]] = []
    previous = key = None
    for index, frame in enumerate(frames):
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        box_xyxy = None if moving is None else moving[index]
        if previous is not None and key is not None:
            homography, share = _fit(key, grey, found[-1])
            if (homography is None or share < FEW_POINTS) and key is not previous:
                key = previous
                homography, share = _fit(key, grey, found[-1])
            if homography is None:
                expected = f"at least {MIN_POINTS} points of texture around the screen that move together"
                fix = "give a screen on a textured flat surface, or end the video before this frame (--frames)"
                raise InvalidValueError(f"screen, frame {index}", expected, "fewer: the camera cannot be followed", fix)
            corners = cv2.perspectiveTransform(key.corners_xy[None], homography)[0]
        found.append(corners)
        previous = _Key(grey, _choose_points(grey, corners, box_xyxy), corners)
        key = key or previous
    return np.stack(found)


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


def _choose_points(grey: NDArray[np.uint8], corners_xy: NDArray[np.float64], box_xyxy: ArrayLike | None) -> Points:
    """Points to follow around the surface, or, where there are too few, in the whole frame: (N, 1, 2)."""
    middle = corners_xy.mean(axis=0)
    near = np.zeros_like(grey)
    cv2.fillConvexPoly(near, np.rint(middle + AROUND * (corners_xy - middle)).clip(-9999, 9999).astype(np.int32), 255)
    for area in (near, np.full_like(grey, 255)):
        if box_xyxy is not None:
            x1, y1, x2, y2 = np.rint(box_xyxy).clip(0, 9999).astype(int)
            area[y1:y2, x1:x2] = 0
        points = cv2.goodFeaturesToTrack(grey, mask=area, **_FEATURES)
        if points is not None and len(points) >= MIN_POINTS:
            break
    return np.zeros((0, 1, 2), np.float32) if points is None else np.asarray(points, np.float32)


def _fit(
    key: _Key, grey: NDArray[np.uint8], latest_xy: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, float]:
    """The homography from a key frame to a frame, and the share of points that follow it; None where too few do."""
    if len(key.points) < MIN_POINTS:
        return None, 0.0
    guess, _ = cv2.findHomography(key.corners_xy, latest_xy)
    start = key.points if guess is None else cv2.perspectiveTransform(key.points, guess)
    moved, there, _ = cv2.calcOpticalFlowPyrLK(
        key.grey, grey, key.points, np.array(start, np.float32), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **_FLOW
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(
        grey, key.grey, moved, key.points.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **_FLOW
    )
    same = np.linalg.norm(back - key.points, axis=2).ravel() < 1
    good = same & (there.ravel() == 1) & (again.ravel() == 1)
    if good.sum() < MIN_POINTS:
        return None, 0.0
    homography, agree = cv2.findHomography(key.points[good], moved[good], cv2.RANSAC, MAX_ERROR)
    if homography is None or agree.sum() < MIN_POINTS:
        return None, 0.0
    return np.asarray(homography, np.float64), float(agree.sum()) / len(key.points)
