"""A wall filmed by a camera whose movements are known."""

import cv2
import numpy as np

CORNERS_XY = np.float64([[70, 50], [130, 54], [128, 110], [72, 106]])


def texture(height=240, width=320, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def film(frames=20, turn=0.5, zoom=0.006):
    """A textured wall from a camera that moves, turns and comes nearer, and the true corners (F, 4, 2)."""
    wall, shown, true = texture(), [], []
    for t in range(frames):
        angle, scale = np.deg2rad(turn * t), 1 + zoom * t
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        homography = np.array([[c, -s, 1.5 * t], [s, c, -0.8 * t], [4e-6 * t, 2e-6 * t, 1]])
        shown.append(cv2.warpPerspective(wall, homography, (240, 180)))
        true.append(cv2.perspectiveTransform(CORNERS_XY[None], homography)[0])
    return shown, np.stack(true)
