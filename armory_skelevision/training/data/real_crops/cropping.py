"""Crops of 511 pixels around people, large enough for template and search crops with all shifts and scales.

A crop shows the person as large as template and search crop do: its middle 127 x 127 pixels are the template, with the
context that a tracker would take (`tracking.windows`), and its middle 255 x 255 the search crop.

Convention: pixel edges, in images and crops; outside the image lies its mean colour. Resizing is bilinear without
anti-aliasing, as in the tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from armory_skelevision.boxes import iou
from armory_skelevision.datasets.people import AnnotatedPerson, check_inside
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.windows import centred_window, context_side
from armory_skelevision.training.data.affine import Affine, move_points, shift_to_centres
from armory_skelevision.training.data.pair import NO_BOXES, TEMPLATE_SIDE, Picture

CROP_SIDE = 511
JPEG_QUALITY = 95
SAME_PERSON = 0.7  # IoU above which two boxes in a picture are taken for one person's
LEAST_VISIBLE = 0.3  # share of another person's box that must lie within the crop


class Crop(NamedTuple):
    """A person in the middle of a crop."""

    jpeg: NDArray[np.uint8]
    """The JPEG file of the crop (511, 511, 3), as (bytes,) uint8."""
    box_xyxy: NDArray[np.float32]
    """(4,) float32, the part of the person's box inside the image, in crop pixels."""
    keypoints: NDArray[np.float32]
    """(17, 3) float32: x, y in crop pixels, v."""
    track: int
    """Number of the person within the data set."""
    frame: int
    """Number of the frame within the person's video."""
    others_xyxy: NDArray[np.float32] = NO_BOXES
    """(n, 4) float32, the other annotated people's boxes as far as they are in the crop, in crop pixels."""


def cut_crop(picture: Picture, person: AnnotatedPerson, others: Sequence[AnnotatedPerson] = ()) -> Crop:
    """Cut the crop around a person.

    Args:
        picture: The image as it is in its file.
        person: The person.
        others: The other people in the image.

    Raises:
        InvalidValueError: If more than half of the person's box lies outside the image, or a labelled keypoint does by
            more than a pixel: the annotation is then that of another image.
    """
    height, width = picture.shape[0], round(picture.shape[1] * person.stretch)
    corners_xyxy = person.box_xyxy.astype(np.float64)
    check_inside(person, width, height)
    inside_xyxy = corners_xyxy.clip(0, (width, height, width, height))
    matrix = _map_to_crop(corners_xyxy)
    from_file = matrix * (person.stretch, 1, 1)
    crop = warp(picture, from_file, CROP_SIDE, picture.mean(axis=(0, 1)))
    encoded, jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError("the crop cannot be encoded as JPEG")
    box_xyxy = move_points(matrix, inside_xyxy.reshape(2, 2)).reshape(4).astype(np.float32)
    keypoints = np.concatenate([move_points(matrix, person.keypoints[:, :2]), person.keypoints[:, 2:]], axis=1)
    keypoints[person.keypoints[:, 2] == 0] = 0
    found_xyxy = _find_others(matrix, box_xyxy, [other.box_xyxy for other in others])
    return Crop(jpeg.reshape(-1), box_xyxy, keypoints.astype(np.float32), person.track, person.frame, found_xyxy)


def warp(picture: Picture, matrix: Affine, side: int, border: NDArray[np.float64] | None = None) -> Picture:
    """Resample an image into a square one (side, side, 3) by an affine map.

    Args:
        picture: The image.
        matrix: (2, 3), from its pixels to those of the result.
        side: Side of the result in pixels.
        border: (3,) colour outside the image, in 0..255; None repeats the edge.
    """
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    colour = (0.0, 0.0, 0.0) if border is None else tuple(border.tolist())
    result = cv2.warpAffine(
        picture, shift_to_centres(matrix), (side, side), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=colour
    )
    return np.asarray(result, np.uint8)


def _find_others(
    matrix: Affine, box_xyxy: NDArray[np.float32], others_xyxy: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Boxes of other people in crop pixels, clipped to the crop, without those that show too little or the same one."""
    if not others_xyxy:
        return NO_BOXES
    whole = torch.from_numpy(move_points(matrix, np.reshape(others_xyxy, (-1, 2)))).reshape(-1, 4)
    inside = whole.clamp(0, CROP_SIDE)
    shown = (inside[:, 2:] - inside[:, :2]).prod(dim=1) >= LEAST_VISIBLE * (whole[:, 2:] - whole[:, :2]).prod(dim=1)
    different = iou(inside, torch.from_numpy(box_xyxy).double()) <= SAME_PERSON
    return inside[shown & different].float().numpy()


def _map_to_crop(box_xyxy: NDArray[np.float64]) -> Affine:
    """The map from the image to the crop around a box, by the tracker's window."""
    (cx, cy), (width, height) = (box_xyxy[:2] + box_xyxy[2:]) / 2, torch.from_numpy(box_xyxy[2:] - box_xyxy[:2])
    template_side = context_side(width, height, TrackerSettings.context).item()
    window = centred_window(float(cx), float(cy), template_side * CROP_SIDE / TEMPLATE_SIDE)
    ratio = CROP_SIDE / window.side
    return np.array([[ratio, 0, -ratio * window.x_min], [0, ratio, -ratio * window.y_min]])
