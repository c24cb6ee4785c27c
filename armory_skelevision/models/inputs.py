"""What is accepted as video, box, labels and settings. Each refusal says what came, where, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Below this the crops hold nothing to track and the smallest box (10 pixels) covers most of the frame.
MIN_SIDE = 32


def check_video(video: Any, name: str = "x", fewest: int = 2) -> None:
    """Check one video (F, H, W, 3), array or tensor, RGB in [0, 1], of ``fewest`` frames or more.

    Raises:
        ValueError: For a wrong shape, too few or too small frames, NaN, or values outside [0, 1].
        TypeError: For anything that is not floating point.
    """
    if not isinstance(video, (np.ndarray, Tensor)):
        raise TypeError(f"{name}: expected an array or tensor (F, H, W, 3), got {type(video).__name__}")
    shape = tuple(video.shape)
    if len(shape) != 4 or shape[-1] != 3:
        hint = "; gray frames must be repeated to three channels" if shape[-1:] == (1,) or len(shape) == 3 else ""
        raise ValueError(f"{name}: expected a video (F, H, W, 3), RGB, got shape {shape}{hint}")
    if shape[0] < fewest:
        wanted = "1 frame" if fewest == 1 else f"{fewest} frames, the first to learn the target from"
        raise ValueError(f"{name}: expected at least {wanted}, got {shape[0]}")
    if min(shape[1:3]) < MIN_SIDE:
        raise ValueError(f"{name}: expected frames of at least {MIN_SIDE}x{MIN_SIDE} pixels, got {shape[2]}x{shape[1]}")
    floating = video.is_floating_point() if isinstance(video, Tensor) else np.issubdtype(video.dtype, np.floating)
    if not floating:
        raise TypeError(f"{name}: expected floating point frames in [0, 1], got {video.dtype}; divide by 255 first")
    low, high = _extremes(video)
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise ValueError(f"{name}: expected values in [0, 1], got {_describe(video, low, high)}")


def check_box(box_xyxy: Any, width: int, height: int, name: str = "y_init") -> Tensor:
    """Check the first box of a ``width`` x ``height`` video and return it as float64 (4,) on the CPU.

    Raises:
        ValueError: For a wrong shape, NaN, a reversed or empty box, or one outside the frame.
    """
    if isinstance(box_xyxy, Tensor):
        checked = box_xyxy.detach().to("cpu", torch.float64)
    else:
        checked = torch.from_numpy(np.array(box_xyxy, dtype=np.float64))
    if checked.shape != (4,):
        raise ValueError(f"{name}: expected one box (x1, y1, x2, y2), got shape {tuple(checked.shape)}")
    values = [round(value, 2) for value in checked.tolist()]
    if not torch.isfinite(checked).all():
        raise ValueError(f"{name}: expected finite coordinates, got {values}")
    x1, y1, x2, y2 = checked.tolist()
    if x2 - x1 < 1 or y2 - y1 < 1:
        raise ValueError(f"{name}: expected x1 < x2 and y1 < y2, at least a pixel apart, got {values}")
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise ValueError(f"{name}: box {values} lies outside the {width}x{height} frame")
    return checked


def check_labels(y: Any, videos: Sequence[Any], name: str = "y") -> list[Any]:
    """Check labels ``[{"boxes": (F, 4)}, …]`` against their videos and return the boxes.

    Raises:
        ValueError: If labels are missing, their number is not the videos', or a video's boxes are not one per frame.
    """
    if y is None:
        raise ValueError(f'{name}: the true boxes are needed; set "use_label": true in the config\'s attack block')
    if len(y) != len(videos):
        raise ValueError(f"{name}: expected labels of {len(videos)} videos, got {len(y)}")
    boxes = []
    for index, (label, video) in enumerate(zip(y, videos, strict=True)):
        if not isinstance(label, Mapping) or "boxes" not in label:
            raise ValueError(f'{name}[{index}]: expected a dict with "boxes" (F, 4)')
        shape = tuple(label["boxes"].shape)
        if shape != (len(video), 4):
            raise ValueError(f"{name}[{index}]: expected boxes ({len(video)}, 4), one per frame, got {shape}")
        if not bool(torch.isfinite(torch.as_tensor(label["boxes"])).all()):
            raise ValueError(f"{name}[{index}]: expected finite boxes, found NaN or infinity")
        boxes.append(label["boxes"])
    return boxes


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse a setting that is none of ``choices`` (ValueError)."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {list(choices)}, got {value!r}")


def refuse_unknown(name: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keys that mean nothing (ValueError, naming them and those that are known)."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{name}: unknown {unknown}; known are {list(known)}")


def check_positive(name: str, value: Any) -> None:
    """Refuse a setting that is not a finite number above 0 (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name}: expected a number above 0, got {value!r}")


def check_not_negative(name: str, value: Any) -> None:
    """Refuse a setting that is not a finite number from 0 (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a number from 0, got {value!r}")


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Refuse a setting that is not a whole number from ``least`` (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: expected a whole number from {least}, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    """Refuse a setting that is neither true nor false (ValueError)."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected true or false, got {value!r}")


def _extremes(video: np.ndarray | Tensor) -> tuple[float, float]:
    if isinstance(video, Tensor):
        low, high = video.detach().aminmax()
        return float(low), float(high)
    return float(video.min()), float(video.max())


def _describe(video: np.ndarray | Tensor, low: float, high: float) -> str:
    if low == low and high == high:
        return f"{low:.4g} to {high:.4g}" + ("; divide by 255 first" if 2 < high <= 255 else "")
    finite = torch.isfinite(torch.as_tensor(np.asarray(video)) if isinstance(video, np.ndarray) else video.detach())
    frame = int((~finite.flatten(1).all(dim=1)).nonzero()[0])
    return f"NaN or infinity, first in frame {frame}"
