"""Checks of videos, boxes and labels. Errors name the argument, what is expected and what came instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.validation import InvalidTypeError, InvalidValueError

# In smaller frames the crops show nothing to track, and the smallest box (10 pixels) covers most of the frame.
MIN_SIDE = 32


def check_video(video: Any, name: str = "x", min_frames: int = 2) -> None:
    """Check one video (F, H, W, 3), array or tensor, RGB in [0, 1].

    Args:
        video: The video.
        name: Of the argument, for errors.
        min_frames: Smallest number of frames.

    Raises:
        InvalidValueError: For a wrong shape, too few or too small frames, NaN, or values outside [0, 1].
        InvalidTypeError: For anything that is not floating point.
    """
    if not isinstance(video, (np.ndarray, Tensor)):
        raise InvalidTypeError(name, "an array or tensor (F, H, W, 3)", type(video).__name__)
    shape = tuple(video.shape)
    if len(shape) != 4 or shape[-1] != 3:
        gray = shape[-1:] == (1,) or len(shape) == 3
        fix = "repeat gray frames to three channels" if gray else ""
        raise InvalidValueError(name, "a video (F, H, W, 3), RGB", f"shape {shape}", fix)
    if shape[0] < min_frames:
        fix = "the template is taken from the first frame" if min_frames > 1 else ""
        raise InvalidValueError(name, f"at least {min_frames} frames", str(shape[0]), fix)
    if min(shape[1:3]) < MIN_SIDE:
        expected = f"frames of at least {MIN_SIDE}x{MIN_SIDE} pixels"
        raise InvalidValueError(name, expected, f"{shape[2]}x{shape[1]} pixels")
    is_floating = video.is_floating_point() if isinstance(video, Tensor) else np.issubdtype(video.dtype, np.floating)
    if not is_floating:
        raise InvalidTypeError(name, "floating point frames in [0, 1]", str(video.dtype), "divide by 255")
    values = video.detach() if isinstance(video, Tensor) else video
    low, high = float(values.min()), float(values.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        fix = "divide by 255" if 2 < high <= 255 else ""
        raise InvalidValueError(name, "values in [0, 1]", _describe(video, low, high), fix)


def check_box(box_xyxy: Any, width: int, height: int, name: str = "y_init") -> Tensor:
    """Check the first box of a video.

    Args:
        box_xyxy: The box (4,) in pixels, array, tensor or sequence.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        name: Of the argument, for errors.

    Returns:
        The box (4,), float64 on the CPU.

    Raises:
        InvalidValueError: For a wrong shape, NaN, a reversed or empty box, or one outside the frame.
    """
    if isinstance(box_xyxy, Tensor):
        checked = box_xyxy.detach().to("cpu", torch.float64)
    else:
        checked = torch.from_numpy(np.array(box_xyxy, dtype=np.float64))
    if checked.shape != (4,):
        raise InvalidValueError(name, "one box (x1, y1, x2, y2)", f"shape {tuple(checked.shape)}")
    values = str([round(value, 2) for value in checked.tolist()])
    if not torch.isfinite(checked).all():
        raise InvalidValueError(name, "finite coordinates", values)
    x1, y1, x2, y2 = checked.tolist()
    if x2 - x1 < 1 or y2 - y1 < 1:
        raise InvalidValueError(name, "x1 < x2 and y1 < y2, at least a pixel apart", values)
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise InvalidValueError(name, f"a box that overlaps the {width}x{height} frame", values)
    return checked


def check_labels(y: Any, videos: Sequence[Any], name: str = "y") -> list[Any]:
    """Check labels ``[{"boxes": (F, 4)}, …]`` against their videos and return the boxes.

    Args:
        y: The labels; boxes are xyxy in pixels.
        videos: One video (F, H, W, 3) per label.
        name: Of the argument, for errors.

    Raises:
        InvalidValueError: If labels are missing, or do not fit the number of videos or of their frames.
    """
    if y is None:
        raise InvalidValueError(name, "true boxes", "none", 'set "use_label": true in the config\'s attack block')
    if len(y) != len(videos):
        raise InvalidValueError(name, f"labels of {len(videos)} videos", str(len(y)))
    boxes = []
    for index, (label, video) in enumerate(zip(y, videos, strict=True)):
        key = f"{name}[{index}]"
        if not isinstance(label, Mapping) or "boxes" not in label:
            raise InvalidValueError(key, 'a dict with "boxes" (F, 4)', type(label).__name__)
        shape = tuple(label["boxes"].shape)
        if shape != (len(video), 4):
            raise InvalidValueError(key, f"boxes ({len(video)}, 4), one per frame", f"shape {shape}")
        if not bool(torch.isfinite(torch.as_tensor(label["boxes"])).all()):
            raise InvalidValueError(key, "finite boxes", "NaN or infinity")
        boxes.append(label["boxes"])
    return boxes


def refuse_keywords(unknown: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keyword arguments that a method does not have (`InvalidTypeError`)."""
    for name in sorted(unknown):
        raise InvalidTypeError(name, "a known keyword argument", "an unknown one", f"known are {', '.join(known)}")


def _describe(video: np.ndarray | Tensor, low: float, high: float) -> str:
    if low == low and high == high:
        return f"{low:.4g} to {high:.4g}"
    finite = torch.isfinite(torch.as_tensor(video))
    frame = int((~finite.flatten(1).all(dim=1)).nonzero()[0])
    return f"NaN or infinity, first in frame {frame}"
