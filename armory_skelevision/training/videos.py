"""Whole videos that a tracker in training is validated on: single pairs do not show whether it loses its target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from armory_skelevision.boxes import has_area, iou
from armory_skelevision.datasets.layouts.sequence import ImageSequence
from armory_skelevision.datasets.sequence_people import VideoLayout, read_any_sequence
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.io import hash_file, printable, progress
from armory_skelevision.io.images import read_image
from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.tracking.crops import Crops, TemplateMatcher
from armory_skelevision.tracking.frames import Frames, Region
from armory_skelevision.tracking.lockstep import track_boxes
from armory_skelevision.validation import InvalidValueError

IN_LOCKSTEP = 8
"""Videos that are tracked at a time; a frame of each is in memory."""


class ValidationVideo(NamedTuple):
    """A video with the target's true boxes."""

    group: str
    """The setting's folder that it is from."""
    files: tuple[Path, ...]
    """The files that it is read from, without that of the boxes."""
    boxes_xyxy: NDArray[np.float32]
    """(F, 4) float32; those without an area are of frames that do not count."""
    open: Callable[[], Frames]
    """Gives the frames, of which few are in memory."""


class ReadFrames(Frames):
    """A video whose frames are read one by one, when they are looked at.

    Args:
        count: Number of frames.
        read: Gives a frame (H, W, 3) uint8 RGB by its number.
    """

    def __init__(self, count: int, read: Callable[[int], NDArray[np.uint8]]) -> None:
        self._read = lru_cache(maxsize=1)(read)
        super().__init__(count, *self._read(0).shape[:2])

    def pixels(self, index: int, region: Region) -> Tensor:
        """See `Frames.pixels`."""
        part = np.ascontiguousarray(self._read(index)[region].transpose(2, 0, 1))
        return torch.from_numpy(part).float() / 255


def read_videos(folders: Mapping[str, VideoLayout]) -> list[ValidationVideo]:
    """The videos of a setting: of each folder with rendered videos all, of each sequence one. Boxes are read at once.

    Raises:
        MissingFileError: If a folder or a file is missing.
        InvalidValueError: If a file is wrong.
    """
    return [video for folder, layout in folders.items() for video in _read(folder, layout)]


def hash_videos(folders: Mapping[str, VideoLayout]) -> str:
    """A SHA-256 of boxes and frames of all videos; errors are those of `read_videos`."""
    digest = hashlib.sha256()
    for video in progress(read_videos(folders), "Reading videos", unit="video"):
        digest.update(video.boxes_xyxy.tobytes())
        for path in video.files:
            digest.update(hash_file(path).encode())
    return digest.hexdigest()


def _read(folder: str, layout: VideoLayout) -> Iterator[ValidationVideo]:
    path = Path(folder)
    if layout == "walkers":
        for rendered in read_split(path):
            yield ValidationVideo(folder, (rendered.path,), rendered.boxes_xyxy, partial(_open_rendered, rendered))
    else:
        sequence = read_any_sequence(path.absolute().parent, layout, path.absolute().name)
        _check_boxes(sequence)
        yield ValidationVideo(folder, sequence.images, sequence.boxes_xyxy, partial(_open_images, sequence))


def _check_boxes(sequence: ImageSequence) -> None:
    """Refuse a sequence that does not begin with a box, or has no other."""
    counts = has_area(sequence.boxes_xyxy)
    if not counts[0] or not counts[1:].any():
        got = "none in the first" if not counts[0] else "one in the first alone"
        raise InvalidValueError(printable(sequence.groundtruth), "a box in the first frame and in others", got)


def _open_rendered(video: WalkerVideo) -> Frames:
    frames = video.read_frames()
    return ReadFrames(len(frames), frames.__getitem__)


def _open_images(sequence: ImageSequence) -> Frames:
    return ReadFrames(len(sequence.images), lambda index: read_image(sequence.images[index]))


def score_videos(network: SiameseNetwork, videos: list[ValidationVideo], settings: TrackerSettings) -> dict[str, float]:
    """Track each video and return the mean IoU by group, in [0, 1]: the mean over its videos.

    Args:
        network: In evaluation mode, on the CPU; takes BGR in 0..255.
        videos: The videos.
        settings: Constants of the tracker.
    """
    found: dict[str, list[float]] = {}
    batches = [videos[start : start + IN_LOCKSTEP] for start in range(0, len(videos), IN_LOCKSTEP)]
    for batch in progress(batches, "Tracking", unit="batch"):
        for video, boxes_xyxy in zip(batch, _track(network, batch, settings), strict=True):
            found.setdefault(video.group, []).append(video_iou(video, boxes_xyxy))
    return {group: float(np.mean(scores)) for group, scores in found.items()}


@torch.no_grad()
def _track(network: SiameseNetwork, videos: list[ValidationVideo], settings: TrackerSettings) -> list[Tensor]:
    """The tracked boxes (F, 4) of each video."""
    starts = [torch.from_numpy(video.boxes_xyxy[0]) for video in videos]
    crops = [Crops(network, video.open(), start, settings) for video, start in zip(videos, starts, strict=True)]
    return [boxes_xyxy for boxes_xyxy, _ in track_boxes([TemplateMatcher.embed_template(each) for each in crops])]


def video_iou(video: ValidationVideo, boxes_xyxy: Tensor) -> float:
    """Mean IoU of tracked boxes (F, 4) over the frames that count, but for the first, whose box is given."""
    truth_xyxy = torch.from_numpy(video.boxes_xyxy)
    counts = has_area(truth_xyxy)
    return float(iou(boxes_xyxy, truth_xyxy)[1:][counts[1:]].mean())
