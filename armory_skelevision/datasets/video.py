"""One video with the target's true boxes, for evaluations from Python."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import LEFT_OUT_XYXY, check_corners, is_annotated, read_numbers
from armory_skelevision.datasets.frame_source import load_frames, open_frames, open_images, open_sequence
from armory_skelevision.datasets.layouts import Layout
from armory_skelevision.datasets.walker_files import read_annotation
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.validation import Count, InvalidTypeError, InvalidValueError, Range, check_value

FrameRate = Annotated[float, Range(0.01, 10_000)]
"""Frames per second, as video files can have them."""


@dataclass(frozen=True, eq=False, repr=False)
class Video:
    """A video and what is annotated in it. ``video[10:20]`` is a part of it, ``len(video)`` its number of frames.

    Boxes and corners are in pixels: x to the right, y down, pixel edges at whole numbers.

    Attributes:
        frames: (F, H, W, 3) float32, RGB in [0, 1].
        boxes_xyxy: True boxes of the target, (F, 4) float32; `boxes.LEFT_OUT_XYXY` and `boxes.LOST_XYXY` mark frames
            without one.
        name: For results and legends.
        frame_rate: Frames per second.
        gs_coords: Corners of the screen that a patch is shown on, (F, 4, 2) as x, y: top left, top right, bottom right,
            bottom left. None where there is no screen.
        masks: Where the screen is visible, (F, H, W), non-zero there. None where there is no screen.
        keypoints: (F, 17, 3) in COCO's order: x, y, visibility (0 not labelled, 1 occluded, 2 visible). None where they
            are unknown.

    Raises:
        InvalidValueError: For an array whose shape does not fit the frames, or boxes with x1 > x2 or y1 > y2.
        InvalidTypeError: For arrays of anything but numbers.
    """

    frames: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    name: str = "video"
    frame_rate: float = 30.0
    gs_coords: NDArray[Any] | None = None
    masks: NDArray[Any] | None = None
    keypoints: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        for key, values in {"frames": self.frames, "boxes_xyxy": self.boxes_xyxy, **self._annotations()}.items():
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
                got = str(getattr(values, "dtype", type(values).__name__))
                raise InvalidTypeError(key, "an array of numbers", got, "load_video takes other kinds")
        check_value("name", self.name, str)
        check_value("frame_rate", self.frame_rate, FrameRate)
        shape = self.frames.shape
        if len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise InvalidValueError("frames", "a video (F, H, W, 3), RGB", f"shape {shape}")
        wanted = {"gs_coords": (len(self), 4, 2), "masks": shape[:3], "keypoints": (len(self), 17, 3)}
        for key, values in {"boxes_xyxy": self.boxes_xyxy, **self._annotations()}.items():
            expected = wanted.get(key, (len(self), 4))
            if values.shape != expected:
                raise InvalidValueError(key, f"an array {expected}, one entry per frame", f"shape {values.shape}")
        check_corners("boxes_xyxy", self.boxes_xyxy)
        for key in self._annotations():
            if not np.isfinite(getattr(self, key)).all():
                raise InvalidValueError(key, "finite values", "NaN or infinity")

    @property
    def is_annotated(self) -> bool:
        """Whether there is a true box beside that of the first frame, which the tracker is given."""
        return is_annotated(self.boxes_xyxy)

    @property
    def patch_metadata(self) -> dict[str, NDArray[Any]]:
        """What attacks need besides the boxes, under ARMORY's names; {} if nothing is known.

        ``gs_coords`` (F, 4, 2), ``masks`` (F, H, W, 3; a view with three equal channels) and ``keypoints`` (F, 17, 3).
        """
        metadata = self._annotations()
        if self.masks is not None:
            metadata["masks"] = np.broadcast_to(self.masks[..., None], (*self.masks.shape, 3))
        return metadata

    def __repr__(self) -> str:
        """Name and size, without the pixels."""
        return f"Video({self.name!r}, {len(self)} frames of {self.frames.shape[2]}x{self.frames.shape[1]})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __getitem__(self, part: slice) -> Video:
        """The chosen frames with their annotations; a single number is refused, since a frame alone is no video."""
        if not isinstance(part, slice):
            raise InvalidTypeError("video[…]", "a slice such as video[:10]", repr(part))
        chosen: dict[str, Any] = {key: values[part] for key, values in self._annotations().items()}
        return dataclasses.replace(self, frames=self.frames[part], boxes_xyxy=self.boxes_xyxy[part], **chosen)

    def _annotations(self) -> dict[str, NDArray[Any]]:
        known = {"gs_coords": self.gs_coords, "masks": self.masks, "keypoints": self.keypoints}
        return {key: values for key, values in known.items() if values is not None}


def load_video(
    source: str | os.PathLike[str] | ArrayLike,
    boxes_xyxy: ArrayLike | None = None,
    *,
    box_xywh: ArrayLike | None = None,
    layout: Layout | None = None,
    max_frames: int | None = None,
    name: str | None = None,
    frame_rate: float | None = None,
    gs_coords: ArrayLike | None = None,
    masks: ArrayLike | None = None,
) -> Video:
    """A video that comes with the package, a video file, a folder of pictures, a benchmark's sequence, or own frames.

    Args:
        source: The name of a packaged video, "walkers/mini/0" to "walkers/mini/2" or "walkers/dev/0" to
            "walkers/dev/19"; a file or a folder, as `open_frames` takes them; or frames (F, H, W, 3), RGB, uint8 or
            floating point in [0, 1], as an array or a sequence of frames.
        boxes_xyxy: The target's true boxes (F, 4) in pixels. Packaged videos and benchmarks' sequences have their own.
        box_xywh: In place of all true boxes, the target in the first frame alone: left, top, width and height in
            pixels, counted from 0. Metrics leave out the other frames.
        layout: Of a benchmark's sequence, where it has to be said; see `open_frames`.
        max_frames: Of a file or a folder, how many frames to load, from the first; None for all.
        name: What results call the video; None takes it from the file or the folder, or "video".
        frame_rate: Frames per second; None takes what the file states, or 30.
        gs_coords: The corners of the screen for a patch, (4, 2) or (F, 4, 2); see `Video`.
        masks: Where that screen is visible, (F, H, W) or (F, H, W, 3); None means everywhere.

    Returns:
        The video; all pixels are in memory.

    Raises:
        MissingFileError: If a folder, or a file of a sequence, is missing.
        InvalidValueError: For an unknown name, a file that cannot be read, more pixels than `frame_source.MAX_PIXELS`,
            missing boxes, arrays of the wrong shape, type or range, or annotations that would not be used.

    Example:
        >>> load_video("walkers/mini/0")[:10].boxes_xyxy.shape
        (10, 4)
        >>> load_video("street.mp4", box_xywh=(52, 80, 24, 60))
    """
    given = {"boxes_xyxy": boxes_xyxy, "box_xywh": box_xywh}
    if isinstance(source, str) and layout is None and not os.path.exists(source):
        given |= {"gs_coords": gs_coords, "masks": masks, "max_frames": max_frames}
        _refuse(given, "nothing beside the name of a packaged video, which has its own")
        return _load_packaged(source)
    if isinstance(source, str | os.PathLike):
        frames, true_xyxy, found_name, rate = _load_files(Path(source), layout, max_frames)
        if true_xyxy is not None:
            _refuse(given, "nothing beside a benchmark's sequence, which has its own")
            boxes_xyxy = true_xyxy
    else:
        _refuse({"layout": layout, "max_frames": max_frames}, "nothing beside frames")
        numbers = read_numbers("source", source, "frames (F, H, W, 3), a file, a folder, or a packaged video's name")
        frames, found_name, rate = _to_float(numbers), "video", 30.0
    boxes = _read_boxes(boxes_xyxy, box_xywh, len(frames))
    screen = _read_screen(gs_coords, masks, frames.shape)
    name, frame_rate = found_name if name is None else name, rate if frame_rate is None else frame_rate
    return Video(frames, boxes, name, frame_rate, **screen)


def _load_files(
    path: Path, layout: Layout | None, max_frames: int | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, str, float]:
    """Frames, true boxes if there are any, name and frames per second of a file or folder."""
    if max_frames is not None:
        check_value("max_frames", max_frames, Count)
    sequence = open_sequence(path, layout)
    if sequence is None:
        source, boxes_xyxy = open_frames(path), None
    else:
        source = open_images(sequence.name, sequence.images, sequence.frame_rate)
        boxes_xyxy = sequence.boxes_xyxy[:max_frames]
    return load_frames(source, max_frames), boxes_xyxy, source.name, source.fps


def _read_boxes(boxes_xyxy: ArrayLike | None, box_xywh: ArrayLike | None, frames: int) -> NDArray[np.float32]:
    if boxes_xyxy is not None:
        _refuse({"box_xywh": box_xywh}, "nothing beside boxes_xyxy")
        read = read_numbers("boxes_xyxy", boxes_xyxy, "the target's true boxes (F, 4), xyxy in pixels")
        return read.astype(np.float32)
    if box_xywh is None:
        expected = "the target's true boxes (F, 4), xyxy in pixels, or box_xywh, the target in the first frame"
        raise InvalidValueError("boxes_xyxy", expected, "none")
    first = read_numbers("box_xywh", box_xywh, "the target in the first frame: left, top, width, height")
    if first.shape != (4,) or not np.isfinite(first).all() or not (first[2:] > 0).all():
        got = str(first.tolist()) if first.shape == (4,) else f"shape {first.shape}"
        raise InvalidValueError("box_xywh", "left, top, width, height in pixels, the last two above 0", got)
    boxes = np.full((frames, 4), LEFT_OUT_XYXY, np.float32)
    boxes[:1] = [*first[:2], *(first[:2] + first[2:])]
    return boxes


def _read_screen(
    gs_coords: ArrayLike | None, masks: ArrayLike | None, shape: tuple[int, ...]
) -> dict[str, NDArray[Any]]:
    """The corners of a screen in each frame and where it is visible; {} where there is none."""
    if gs_coords is None:
        _refuse({"masks": masks}, "nothing without gs_coords, the screen whose visible part they are")
        return {}
    corners = read_numbers("gs_coords", gs_coords, "corners (4, 2) or (F, 4, 2)").astype(np.float64)
    visible = np.ones(shape[:3], dtype=np.uint8) if masks is None else _read_masks(masks)
    return {
        "gs_coords": np.broadcast_to(corners, (shape[0], 4, 2)) if corners.shape == (4, 2) else corners,
        "masks": visible[..., 0] if visible.ndim == 4 else visible,
    }


def _refuse(given: Mapping[str, Any], expected: str) -> None:
    for key, value in given.items():
        if value is not None:
            raise InvalidValueError(key, expected, type(value).__name__)


def _read_masks(masks: ArrayLike) -> NDArray[Any]:
    given = np.asarray(masks)
    return given if given.dtype == np.bool_ else read_numbers("masks", masks, "numbers (F, H, W) or (F, H, W, 3)")


def _load_packaged(name: str) -> Video:
    splits = {f"walkers/{folder.name}": sorted(folder.glob("*.mp4")) for folder in sorted(SPLITS.iterdir())}
    videos = {f"{split}/{number}": path for split, paths in splits.items() for number, path in enumerate(paths)}
    if name not in videos:
        ranges = " or ".join(f"{split}/0 to {split}/{len(paths) - 1}" for split, paths in splits.items())
        expected = f"a packaged video ({ranges}), a file or folder that exists, or frames"
        raise InvalidValueError("source", expected, repr(name)[:200])
    video = read_annotation(videos[name])
    return Video(
        frames=_to_float(video.read_frames()),
        boxes_xyxy=video.boxes_xyxy,
        name=name,
        frame_rate=video.frame_rate,
        gs_coords=video.gs_coords,
        masks=video.decode_masks(),
        keypoints=video.keypoints,
    )


def _to_float(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Frames as float32 in [0, 1]; divided as ARMORY does it, so that packaged videos are the same to the last bit."""
    if frames.dtype == np.uint8:
        return frames.astype(np.float32) / np.float32(255)
    if not np.issubdtype(frames.dtype, np.floating):
        raise InvalidValueError("frames", "uint8, or floating point in [0, 1]", f"{frames.dtype}")
    if frames.size and not (frames.min() >= 0 and frames.max() <= 1):
        fix = "divide by 255" if 1 < frames.max() <= 255 else ""
        raise InvalidValueError("frames", "values in [0, 1]", f"{frames.min():g} to {frames.max():g}", fix)
    return frames.astype(np.float32, copy=False)
