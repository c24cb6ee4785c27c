"""Crops of 511 pixels around people, large enough for template and search crops with all their shifts and scales.

A crop shows the person as large as template and search crop do: its middle 127 x 127 pixels are the template, with the
context that a tracker would take (`tracking.windows`), and its middle 255 x 255 the search crop.

Convention: pixel edges, in pictures and crops; beyond the picture lies its mean colour. Bilinear without anti-aliasing,
since that is what a tracker sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from armory_skelevision.datasets.people import AnnotatedPerson
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.windows import centred_window, context_side
from armory_skelevision.training.data.pairs.painting import Affine, move_points, shift_to_centres
from armory_skelevision.training.data.pairs.pair import TEMPLATE_SIDE

CROP_SIDE = 511
JPEG_QUALITY = 95


class Crop(NamedTuple):
    """A person in the middle of a crop.

    Attributes:
        jpeg: The file of the picture (511, 511, 3), as (bytes,) uint8.
        box_xyxy: (4,) float32, the part of the person's box inside the picture, in crop pixels.
        keypoints: (17, 3) float32: x, y in crop pixels, v.
        track: See `AnnotatedPerson`.
        frame: See `AnnotatedPerson`.
    """

    jpeg: NDArray[np.uint8]
    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    track: int
    frame: int


def read_picture(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A whole picture (H, W, 3) BGR, turned as it is stored, which is how annotators saw it.

    Raises:
        OSError: It is missing, truncated or no picture. (OpenCV would fill what is missing with grey.)
        ValueError: It has another size (width, height) than it must have.
    """
    with Image.open(path) as image:
        if size is not None and image.size != size:
            raise ValueError(f"it has {image.size} pixels (width, height), its annotation says {size}")
        rgb = np.asarray(image.convert("RGB"))
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)


def cut_crop(picture: NDArray[np.uint8], person: AnnotatedPerson) -> Crop:
    """The crop around a person.

    Args:
        picture: (H, W, 3) uint8 BGR.
        person: Who.

    Raises:
        ValueError: More than half of the person's box, or a labelled keypoint, lies outside the picture (of the latter,
            by more than a pixel): the annotation is that of another one.
    """
    height, width = picture.shape[:2]
    corners_xyxy = person.box_xyxy.astype(np.float64)
    inside_xyxy = corners_xyxy.clip(0, (width, height, width, height))
    if _area(inside_xyxy) < 0.5 * _area(corners_xyxy):
        raise ValueError(f"its box_xyxy {corners_xyxy.round(1).tolist()} lies outside of {width} x {height} pixels")
    labelled = person.keypoints[person.keypoints[:, 2] > 0]
    if ((labelled[:, :2] < -1) | (labelled[:, :2] > (width + 1, height + 1))).any():
        raise ValueError(f"it has keypoints outside of {width} x {height} pixels")
    matrix = _map_to_crop(corners_xyxy)
    crop = warp(picture, matrix, CROP_SIDE, picture.mean(axis=(0, 1)))
    encoded, jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError("its crop cannot be written as JPEG")
    box_xyxy = move_points(matrix, inside_xyxy.reshape(2, 2)).reshape(4).astype(np.float32)
    keypoints = np.concatenate([move_points(matrix, person.keypoints[:, :2]), person.keypoints[:, 2:]], axis=1)
    keypoints[person.keypoints[:, 2] == 0] = 0
    return Crop(jpeg.reshape(-1), box_xyxy, keypoints.astype(np.float32), person.track, person.frame)


def warp(
    picture: NDArray[np.uint8], matrix: Affine, side: int, border: NDArray[np.float64] | None = None
) -> NDArray[np.uint8]:
    """A square picture of what an affine map, from edges to edges, brings into it.

    Args:
        picture: (H, W, 3) uint8.
        matrix: (2, 3), from pixels of ``picture`` to those of the result.
        side: Of the result, pixels.
        border: (3,) colour beyond the picture; None goes on with that of the edge.
    """
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    colour = (0.0, 0.0, 0.0) if border is None else tuple(border.tolist())
    result = cv2.warpAffine(
        picture, shift_to_centres(matrix), (side, side), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=colour
    )
    return np.asarray(result, np.uint8)


def _map_to_crop(box_xyxy: NDArray[np.float64]) -> Affine:
    """From the picture to the crop around a box, by the tracker's window."""
    (cx, cy), (width, height) = (box_xyxy[:2] + box_xyxy[2:]) / 2, torch.from_numpy(box_xyxy[2:] - box_xyxy[:2])
    template_side = context_side(width, height, TrackerSettings.context).item()
    window = centred_window(float(cx), float(cy), template_side * CROP_SIDE / TEMPLATE_SIDE)
    ratio = CROP_SIDE / window.side
    return np.array([[ratio, 0, -ratio * window.x_min], [0, ratio, -ratio * window.y_min]])


def _area(box_xyxy: NDArray[np.float64]) -> float:
    return float(np.prod(box_xyxy[2:] - box_xyxy[:2]))
