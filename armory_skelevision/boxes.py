"""Boxes as tensors of shape (..., 4).

Convention: pixels, x to the right, y down. ``_xyxy`` holds (left, top, right, bottom), ``_xywh`` (left, top, width,
height), ``_cxcywh`` (centre x, centre y, width, height). Everything here is differentiable and keeps dtype and device.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.validation import InvalidTypeError, InvalidValueError

LEFT_OUT_XYXY = (0.0, 0.0, 0.0, 0.0)
"""The true box of a frame that metrics leave out: the target is absent, or nobody annotated it."""

LOST_XYXY = (-1.0, -1.0, -1.0, -1.0)
"""The true box of a frame without the target that metrics count as lost."""


def read_numbers(key: str, value: Any, expected: str) -> np.ndarray:
    """An array of real numbers, such as boxes, of any shape, from an array, a tensor or nested sequences.

    Args:
        key: What the value is, for errors.
        value: The numbers.
        expected: What they should be, for errors.

    Raises:
        InvalidTypeError: For anything else, also for complex numbers, truth values and rows of different lengths.
        InvalidValueError: For masked values.
    """
    value = as_array(value) if isinstance(value, Tensor) else value
    try:
        numbers = np.asarray(value)
        if numbers.dtype == np.dtype(object):  # in which None would become NaN, and "1" or True 1
            if not all(isinstance(each, Real) and not isinstance(each, bool) for each in numbers.flat):
                raise TypeError
            numbers = numbers.astype(np.float64)
    except (TypeError, ValueError, OverflowError):  # the last for 10**400
        raise InvalidTypeError(key, expected, f"something else: {value!r:.80}") from None
    if numbers.dtype.kind not in "iuf":
        raise InvalidTypeError(key, expected, f"values of type {numbers.dtype}")
    if np.ma.is_masked(value):
        raise InvalidValueError(key, expected, "masked values")
    return numbers


def check_corners(key: str, boxes_xyxy: np.ndarray) -> None:
    """Refuse boxes (F, 4) with NaN, infinity, or corners the other way round, as boxes xywh have them.

    Boxes without an area are let through: they mark frames without a target, as `LEFT_OUT_XYXY` does.

    Args:
        key: What the boxes are, for errors.
        boxes_xyxy: The boxes, numbers of any type.

    Raises:
        InvalidValueError: Naming the first frame whose corners are reversed.
    """
    if not np.isfinite(boxes_xyxy).all():
        raise InvalidValueError(key, "finite boxes", "NaN or infinity")
    right = (boxes_xyxy[:, 2:] >= boxes_xyxy[:, :2]).all(axis=1)
    if not right.all():
        frame = int(np.argmin(right))
        got = f"{[round(float(value), 2) for value in boxes_xyxy[frame]]} in frame {frame}"
        fix = "boxes are (x1, y1, x2, y2), not (x, y, width, height)"
        raise InvalidValueError(key, "boxes with x1 <= x2 and y1 <= y2", got, fix)


def as_array(values: Tensor) -> np.ndarray:
    """The values of a tensor of any shape and device; those of bfloat16, which NumPy does not have, as float32."""
    detached = values.detach().cpu()
    array: np.ndarray = (detached.float() if detached.dtype == torch.bfloat16 else detached).numpy()
    return array


def xyxy_to_xywh(box_xyxy: Tensor) -> Tensor:
    """Convert corners to upper left corner and size: (..., 4) to (..., 4), pixels."""
    x1, y1, x2, y2 = box_xyxy.unbind(-1)
    return torch.stack([x1, y1, x2 - x1, y2 - y1], dim=-1)


def xywh_to_xyxy(box_xywh: Tensor) -> Tensor:
    """Convert upper left corner and size to corners: (..., 4) to (..., 4), pixels."""
    x, y, width, height = box_xywh.unbind(-1)
    return torch.stack([x, y, x + width, y + height], dim=-1)


def xyxy_to_cxcywh(box_xyxy: Tensor) -> Tensor:
    """Convert corners to centre and size: (..., 4) to (..., 4), pixels."""
    x1, y1, x2, y2 = box_xyxy.unbind(-1)
    return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=-1)


def cxcywh_to_xyxy(box_cxcywh: Tensor) -> Tensor:
    """Convert centre and size to corners: (..., 4) to (..., 4), pixels."""
    cx, cy, width, height = box_cxcywh.unbind(-1)
    return torch.stack([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], dim=-1)


def iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), element by element with broadcasting.

    Returns:
        Values in [0, 1], shape (...); 0 where both boxes are empty.
    """
    top_left = torch.maximum(a_xyxy[..., :2], b_xyxy[..., :2])
    bottom_right = torch.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    union = _area(a_xyxy) + _area(b_xyxy) - intersection
    return torch.where(union > 0, intersection / union.clamp(min=torch.finfo(union.dtype).tiny), 0)


def giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019, Algorithm 1) of boxes (..., 4), ``a_xyxy`` not empty; see `iou`.

    The IoU minus the empty share of the smallest box around both; it keeps falling as disjoint boxes move apart.

    Returns:
        Values in [-1, 1], shape (...).
    """
    overlap = iou(a_xyxy, b_xyxy)
    top_left = torch.minimum(a_xyxy[..., :2], b_xyxy[..., :2])
    bottom_right = torch.maximum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    around = (bottom_right - top_left).clamp(min=0).prod(dim=-1).clamp(min=torch.finfo(overlap.dtype).tiny)
    union = (_area(a_xyxy) + _area(b_xyxy)) / (1 + overlap)
    return overlap - (around - union) / around


@overload
def has_area(boxes_xyxy: Tensor) -> Tensor: ...
@overload
def has_area(boxes_xyxy: np.ndarray) -> np.ndarray: ...
def has_area(boxes_xyxy: Any) -> Any:
    """Whether boxes (..., 4) are wider and higher than 0, truth values (...); true boxes of absent targets are not.

    Takes tensors and arrays; a box of NaN has no area.
    """
    return (boxes_xyxy[..., 2:] > boxes_xyxy[..., :2]).all(-1)


def is_annotated(boxes_xyxy: np.ndarray) -> bool:
    """Whether one of the true boxes (F, 4) counts beside that of the first frame, which the tracker is given."""
    return bool((boxes_xyxy[1:] != LEFT_OUT_XYXY).any())


def _area(box_xyxy: Tensor) -> Tensor:
    return (box_xyxy[..., 2:] - box_xyxy[..., :2]).clamp(min=0).prod(dim=-1)
