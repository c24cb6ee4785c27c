"""Reads a split of rendered videos: ``000.mp4`` and ``000.json`` for each video, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.numbers import as_array, duplicates, place
from armory_skelevision.datasets.run_lengths import decode_mask
from armory_skelevision.io import list_folder, printable, read_object
from armory_skelevision.io.video_files import MAX_FRAME_PIXELS, read_video
from armory_skelevision.validation import Count, InvalidValueError, Positive, check_value

KEYS = ("frame_rate", "width", "height", "boxes_xyxy", "keypoints", "gs_coords", "masks")


@dataclass(frozen=True, eq=False)
class WalkerVideo:
    """A rendered video and its annotation.

    Attributes:
        path: The video's file.
        annotation: The annotation's JSON file.
        frame_rate: Frames per second.
        width: Width of the frames, pixels.
        height: Height of the frames, pixels.
        boxes_xyxy: (F, 4) float32, pixel edges.
        keypoints: (F, 17, 3) float32: x, y, visibility, in COCO's order.
        gs_coords: (F, 4, 2) int64: x, y of the green screen's corners: top left, top right, bottom right, bottom left.
        masks: COCO's compressed run lengths of the screen's visible pixels, one text per frame.
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
        """Read the frames, (F, H, W, 3) uint8 RGB.

        Raises:
            InvalidValueError: If the video is damaged, or its frames differ from the annotation in number or size.
        """
        frames: NDArray[np.uint8] = read_video(self.path)
        expected = (len(self.boxes_xyxy), self.height, self.width, 3)
        if frames.shape != expected:
            raise InvalidValueError(printable(self.path), f"frames {expected} as annotated", str(frames.shape))
        return frames

    def decode_masks(self) -> NDArray[np.uint8]:
        """Decode the masks, (F, H, W) uint8, 1 where the screen is visible.

        Raises:
            InvalidValueError: If an encoding is damaged or of another size.
        """
        masks = np.empty((len(self.masks), self.height, self.width), np.uint8)
        for frame, counts in enumerate(self.masks):
            try:
                masks[frame] = decode_mask(counts, self.height, self.width)
            except InvalidValueError as error:
                got = f"{error.got} in frame {frame}"
                raise InvalidValueError(place(self.annotation, "masks"), error.expected, got) from None
        return masks


def read_split(folder: Path) -> list[WalkerVideo]:
    """Read the annotations of all videos in a split's folder, sorted by number; frames are not read.

    Raises:
        InvalidValueError: If a video has no annotation or the reverse, an annotation is invalid, or frame rates differ.
    """
    # Only numbers: an interrupted rendering may have left 007.part.mp4 behind.
    files = [path for path in list_folder(folder) if path.stem.isascii() and path.stem.isdigit()]
    videos = {path.stem: path for path in sorted(files, key=lambda path: int(path.stem)) if path.suffix == ".mp4"}
    annotated = {path.stem for path in files if path.suffix == ".json"}
    single = sorted(set(videos) ^ annotated)
    if single or not videos:
        got = f"only one of the two for {', '.join(single)}" if single else "no video"
        raise InvalidValueError(printable(folder), "videos 000.mp4, each with its 000.json", got)
    if twice := duplicates([int(stem) for stem in videos]):
        raise InvalidValueError(printable(folder), "another number for each video", f"several with {twice[0]}")
    split = [read_annotation(path) for path in videos.values()]
    rates = sorted({video.frame_rate for video in split})
    if len(rates) > 1:
        raise InvalidValueError(printable(folder), "one frame rate for all videos of a split", str(rates))
    return split


def read_annotation(path: Path) -> WalkerVideo:
    """Read the annotation of a video's file from the JSON file beside it.

    Raises:
        InvalidValueError: If the annotation is invalid; the key is ``file: key``.
    """
    annotation = path.with_suffix(".json")
    content = read_object(annotation)
    missing = [key for key in KEYS if key not in content]
    if missing:
        got = f"none of {', '.join(missing)}"
        raise InvalidValueError(printable(annotation), f"the keys {', '.join(KEYS)}", got)
    masks = content["masks"]
    if not isinstance(masks, list) or not masks or not all(isinstance(mask, str) for mask in masks):
        raise InvalidValueError(place(annotation, "masks"), "a text per frame", f"{masks!r:.80}")
    video = WalkerVideo(
        path=path,
        annotation=annotation,
        frame_rate=_read_number(annotation, content, "frame_rate", Positive),
        width=int(_read_number(annotation, content, "width", Count)),
        height=int(_read_number(annotation, content, "height", Count)),
        boxes_xyxy=_read_array(annotation, content, "boxes_xyxy", (4,)).astype(np.float32),
        keypoints=_read_array(annotation, content, "keypoints", (17, 3)).astype(np.float32),
        gs_coords=_read_array(annotation, content, "gs_coords", (4, 2)).astype(np.int64),
        masks=tuple(masks),
    )
    _check_values(video, content)
    return video


def _check_values(video: WalkerVideo, content: Mapping[str, Any]) -> None:
    if video.width * video.height > MAX_FRAME_PIXELS:
        got = f"{video.width}×{video.height}"
        raise InvalidValueError(place(video.annotation, "width"), f"frames of at most {MAX_FRAME_PIXELS:,} pixels", got)
    empty = np.flatnonzero((video.boxes_xyxy[:, 2:] <= video.boxes_xyxy[:, :2]).any(axis=1))
    if len(empty):
        got = f"{video.boxes_xyxy[empty[0]].tolist()} in frame {empty[0]}"
        raise InvalidValueError(place(video.annotation, "boxes_xyxy"), "x1 < x2 and y1 < y2", got)
    outside = (video.boxes_xyxy[:, 2:] <= 0) | (video.boxes_xyxy[:, :2] >= (video.width, video.height))
    if len(wrong := np.flatnonzero(outside.any(axis=1))):
        got = f"{video.boxes_xyxy[wrong[0]].tolist()} in frame {wrong[0]}"
        expected = f"boxes in the {video.width}×{video.height} pixels"
        raise InvalidValueError(place(video.annotation, "boxes_xyxy"), expected, got)
    visibilities = np.asarray(content["keypoints"])[..., 2]  # before they are rounded to float32
    if not np.isin(visibilities, (0, 1, 2)).all():
        got = str(sorted(set(visibilities.ravel().tolist())))[:80]
        raise InvalidValueError(place(video.annotation, "keypoints"), "visibilities 0, 1 or 2", got)
    if not np.array_equal(video.gs_coords, content["gs_coords"]):
        raise InvalidValueError(place(video.annotation, "gs_coords"), "whole numbers", "fractions")


def _read_number(annotation: Path, content: Mapping[str, Any], key: str, kind: Any) -> float:
    check_value(place(annotation, key), content[key], kind)
    return float(content[key])


def _read_array(annotation: Path, content: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers of this shape for each frame, as many as there are masks."""
    return as_array(place(annotation, key), content[key], (len(content["masks"]), *shape))
