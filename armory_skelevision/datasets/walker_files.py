"""Reads a split of rendered videos: ``000.mp4`` and ``000.json`` for each video, in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.run_lengths import decode_mask

KEYS = ("frame_rate", "width", "height", "boxes_xyxy", "keypoints", "gs_coords", "masks")


@dataclass(frozen=True)
class WalkerVideo:
    """A rendered video and what is known of it.

    Attributes:
        path: The video file.
        annotation: The JSON file.
        frame_rate: Frames per second.
        width: Of the frames, pixels.
        height: Of the frames, pixels.
        boxes_xyxy: (F, 4) float32, pixel edges.
        keypoints: (F, 17, 3) float32: x, y, visibility, in COCO's order.
        gs_coords: (F, 4, 2) int64: the screen's corners as x, y, top left, top right, bottom right, bottom left.
        masks: F run-length encodings (COCO's compressed counts) of the screen's visible pixels.
    """

    path: Path
    annotation: Path
    frame_rate: float
    width: int
    height: int
    boxes_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    gs_coords: NDArray[np.int64]
    masks: tuple[str, ...]

    def read_frames(self) -> NDArray[np.uint8]:
        """The frames, (F, H, W, 3) RGB.

        Raises:
            ValueError: If their number or size is not what the annotation says.
        """
        from armory_skelevision.datasets.video_files import read_video

        frames: NDArray[np.uint8] = read_video(self.path)
        expected = (len(self.boxes_xyxy), self.height, self.width, 3)
        if frames.shape != expected:
            raise ValueError(
                f"{self.path}: expected frames {expected} as {self.annotation.name} says, got {frames.shape}"
            )
        return frames

    def decode_masks(self) -> NDArray[np.uint8]:
        """The masks, (F, H, W), 1 where the screen is visible.

        Raises:
            ValueError: If an encoding is damaged or of another size.
        """
        masks = []
        for frame, counts in enumerate(self.masks):
            try:
                masks.append(decode_mask(counts, self.height, self.width))
            except ValueError as error:
                raise ValueError(f"{self.annotation}: masks: frame {frame}: {error}") from None
        return np.stack(masks)


def read_split(folder: Path) -> list[WalkerVideo]:
    """Read the annotations of all videos of a split, sorted by name; the frames stay where they are.

    Raises:
        ValueError: If a video lacks its annotation or the reverse, an annotation is not as expected, or frame rates
            differ.
    """
    # Only numbers: a rendering that was stopped may have left 007.part.mp4 behind.
    videos = {path.stem: path for path in sorted(folder.glob("*.mp4")) if path.stem.isdigit()}
    annotated = {path.stem for path in folder.glob("*.json") if path.stem.isdigit()}
    lonely = sorted(set(videos) ^ annotated)
    if lonely or not videos:
        raise ValueError(f"{folder}: expected videos 000.mp4 each with its 000.json, found {lonely or 'none'} alone")
    split = [read_annotation(path) for path in videos.values()]
    rates = sorted({video.frame_rate for video in split})
    if len(rates) > 1:
        raise ValueError(f"{folder}: expected one frame rate for all videos of a split, got {rates}")
    return split


def read_annotation(path: Path) -> WalkerVideo:
    """Read what is known of a video, from the JSON file beside it.

    Args:
        path: The video file.

    Raises:
        ValueError: If the annotation is not as expected; names file and key.
    """
    annotation = path.with_suffix(".json")
    try:
        content = json.loads(annotation.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{annotation}: expected JSON ({error})") from None
    missing = [key for key in KEYS if key not in content] if isinstance(content, dict) else list(KEYS)
    if missing:
        raise ValueError(f"{annotation}: lacks {', '.join(missing)}")
    masks = content["masks"]
    if not isinstance(masks, list) or not masks or not all(isinstance(mask, str) for mask in masks):
        raise ValueError(f"{annotation}: masks: expected a text for each frame")
    frames = len(masks)
    video = WalkerVideo(
        path=path,
        annotation=annotation,
        frame_rate=_number(annotation, content, "frame_rate"),
        width=int(_number(annotation, content, "width")),
        height=int(_number(annotation, content, "height")),
        boxes_xyxy=_array(annotation, content, "boxes_xyxy", (frames, 4)).astype(np.float32),
        keypoints=_array(annotation, content, "keypoints", (frames, 17, 3)).astype(np.float32),
        gs_coords=_array(annotation, content, "gs_coords", (frames, 4, 2)).astype(np.int64),
        masks=tuple(masks),
    )
    empty = np.flatnonzero((video.boxes_xyxy[:, 2:] <= video.boxes_xyxy[:, :2]).any(axis=1))
    if len(empty):
        raise ValueError(
            f"{annotation}: boxes_xyxy: frame {empty[0]}: expected x1 < x2 and y1 < y2, "
            f"got {video.boxes_xyxy[empty[0]].tolist()}"
        )
    return video


def _number(annotation: Path, content: Mapping[str, Any], key: str) -> float:
    value = content[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{annotation}: {key}: expected a number above 0, got {value!r}")
    return value


def _array(annotation: Path, content: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        values = np.asarray(content[key], dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{annotation}: {key}: expected numbers {shape}, got something else") from None
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(
            f"{annotation}: {key}: expected finite numbers {shape} (masks: {shape[0]} frames), got {values.shape}"
        )
    return values
