"""Checks of videos, boxes and labels. Errors name the argument, what is expected and what came instead.

What PyTorch cannot take as it is, such as colours turned by a negative stride, numbers of another byte order or
boxes as lists, is copied; everything else is used in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.boxes import check_corners, read_numbers
from armory_skelevision.tracking.frames import as_tensor, native_array
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

# In smaller frames the crops show nothing to track, and the smallest box (10 pixels) covers most of the frame.
MIN_SIDE = 32
# Of a first box, in widths and heights of the frame: the template around it is cut from as many pixels.
MAX_BOX = 4

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_videos(x: Any, min_frames: int = 2, name: str = "x") -> list[Any]:
    """Check a batch of videos.

    Args:
        x: Videos (N, F, H, W, 3), array or tensor, or a list, tuple or object array of N videos (F, H, W, 3).
        min_frames: Smallest number of frames of a video.
        name: Of the argument, for errors.

    Returns:
        The videos, each as `check_video` returns it; at least one.

    Raises:
        InvalidValueError, InvalidTypeError: Also for a single video, or none.
    """
    if not isinstance(x, (np.ndarray, Tensor, list, tuple)) or (not isinstance(x, (list, tuple)) and x.ndim == 0):
        raise InvalidTypeError(name, "videos (N, F, H, W, 3)", type(x).__name__)
    if isinstance(x, (np.ndarray, Tensor)) and x.ndim == 4 and x.shape[-1] == 3:
        fix = f"a single video is the batch {name}[None]"
        raise InvalidValueError(name, "videos (N, F, H, W, 3)", f"shape {tuple(x.shape)}", fix)
    if not len(x):
        raise InvalidValueError(name, "at least one video", "none")
    return [check_video(video, f"{name}[{index}]", min_frames) for index, video in enumerate(x)]


def check_video(video: Any, name: str = "x", min_frames: int = 2) -> Any:
    """Check one video (F, H, W, 3), array or tensor, RGB in [0, 1].

    Args:
        video: The video.
        name: Of the argument, for errors.
        min_frames: Smallest number of frames.

    Returns:
        The video itself, or a copy that PyTorch can take; see `native_array`.

    Raises:
        InvalidValueError: For a wrong shape, too few or too small frames, masked values, NaN, or values outside [0, 1].
        InvalidTypeError: For anything that is not floating point.
    """
    if not isinstance(video, (np.ndarray, Tensor)):
        raise InvalidTypeError(name, "an array or tensor (F, H, W, 3)", type(video).__name__)
    _check_shape(tuple(video.shape), name, min_frames)
    kind = video.dtype
    if not (kind in _FLOATING if isinstance(kind, torch.dtype) else np.issubdtype(kind, np.floating)):
        fix = "divide by 255" if "int" in str(kind) else ""
        raise InvalidTypeError(name, "floating point frames in [0, 1]", str(kind), fix)
    if isinstance(video, Tensor) and (video.is_meta or video.layout != torch.strided):
        raise InvalidTypeError(name, "a tensor with a value in each pixel", f"{video.layout} on {video.device}")
    if np.ma.is_masked(video):
        raise InvalidValueError(name, "a value in each pixel", "masked pixels")
    readable = video if isinstance(video, Tensor) else native_array(video)
    values = readable.detach() if isinstance(readable, Tensor) else as_tensor(readable, torch.device("cpu"))
    low, high = map(float, torch.aminmax(values))  # a third of the time of NumPy's two passes
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        fix = "divide by 255" if 2 < high <= 255 else ""
        raise InvalidValueError(name, "values in [0, 1]", _describe(values, low, high), fix)
    return readable


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
        InvalidValueError: For a wrong shape, NaN, a reversed or empty box, one outside the frame, or one that is more
            than four times as wide or high.
        InvalidTypeError: For anything that is not numbers.
    """
    checked = torch.from_numpy(read_numbers(name, box_xyxy, "one box (x1, y1, x2, y2)").astype(np.float64))
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
    if x2 - x1 > MAX_BOX * width or y2 - y1 > MAX_BOX * height:
        raise InvalidValueError(
            name, f"a box of at most {MAX_BOX} times the size of the {width}x{height} frame", values
        )
    return checked


def check_first_boxes(y_init: Any, videos: Sequence[Any], name: str = "y_init") -> list[Tensor]:
    """Check the targets (N, 4) in frame 0 of N videos; see `check_box`."""
    if y_init is None:
        raise InvalidValueError(name, "the targets in frame 0, (N, 4) xyxy in pixels", "none")
    listed = isinstance(y_init, Sequence | np.ndarray | Tensor) and not isinstance(y_init, str)
    if not listed or getattr(y_init, "ndim", 1) == 0:
        raise InvalidTypeError(name, "the targets in frame 0, (N, 4) xyxy in pixels", type(y_init).__name__)
    if len(y_init) != len(videos):
        raise InvalidValueError(name, f"{len(videos)} boxes, one per video", str(len(y_init)))
    pairs = enumerate(zip(y_init, videos, strict=True))
    return [check_box(box, video.shape[2], video.shape[1], f"{name}[{index}]") for index, (box, video) in pairs]


def check_labels(y: Any, videos: Sequence[Any], name: str = "y") -> list[np.ndarray]:
    """Check labels ``[{"boxes": (F, 4)}, …]`` against their videos.

    Args:
        y: The labels, or the dict of a single video; boxes are xyxy in pixels, as arrays, tensors or sequences.
        videos: One video (F, H, W, 3) per label.
        name: Of the argument, for errors.

    Returns:
        The boxes (F, 4) of each video; float64 if they are given so, else float32.

    Raises:
        InvalidValueError: If labels are missing, or do not fit the number of videos or of their frames.
        InvalidTypeError: For boxes that are not numbers.
    """
    boxes = []
    fix = 'set "use_label": true in the config\'s attack block'
    for index, (label, video) in enumerate(zip(per_video(y, videos, name, fix), videos, strict=True)):
        key = f"{name}[{index}]"
        if not isinstance(label, Mapping) or "boxes" not in label:
            raise InvalidValueError(key, 'a dict with "boxes" (F, 4)', type(label).__name__)
        expected = f"boxes ({len(video)}, 4), one per frame"
        read = read_numbers(key, label["boxes"], expected)
        if read.shape != (len(video), 4):
            raise InvalidValueError(key, expected, f"shape {read.shape}")
        check_corners(key, read)
        precise = str(getattr(label["boxes"], "dtype", "")).endswith("float64")
        boxes.append(native_array(read) if precise else read.astype(np.float32, copy=False))
    return boxes


def per_video(given: Any, videos: Sequence[Any], name: str, fix: str = "") -> list[Any]:
    """A dict for each of several videos; a dict alone is that of a single video.

    Raises:
        InvalidValueError: If there are none, or not as many as videos.
        InvalidTypeError: For something else than a list of dicts.
    """
    expected = f"one dict for each of {len(videos)} videos"
    if given is None:
        raise InvalidValueError(name, expected, "none", fix)
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, (list, tuple, np.ndarray)) or getattr(listed, "ndim", 1) == 0:
        raise InvalidTypeError(name, expected, type(given).__name__)
    if len(listed) != len(videos):
        raise InvalidValueError(name, expected, str(len(listed)))
    return list(listed)


def refuse_keywords(unknown: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keyword arguments that a method does not have (`InvalidTypeError`)."""
    for name in sorted(unknown):
        raise InvalidTypeError(name, "a known keyword argument", "an unknown one", f"known are {', '.join(known)}")


def _check_shape(shape: tuple[int, ...], name: str, min_frames: int) -> None:
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


def _describe(video: Tensor, low: float, high: float) -> str:
    if low == low and high == high:
        return f"{low:.4g} to {high:.4g}"
    finite = torch.isfinite(video)
    frame = int((~finite.flatten(1).all(dim=1)).nonzero()[0])
    return f"NaN or infinity, first in frame {frame}"
