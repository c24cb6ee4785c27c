"""Frames one after the other, in bounded memory, from video files, folders of pictures and benchmarks' sequences."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.image_folders import numbered_images
from armory_skelevision.datasets.layouts import Layout, read_sequence, recognise
from armory_skelevision.datasets.layouts.sequence import FRAME_RATE, ImageSequence
from armory_skelevision.datasets.video_stream import decode_frames, probe_video
from armory_skelevision.io import leads_out, printable
from armory_skelevision.io.images import read_image
from armory_skelevision.validation import InvalidValueError, MissingFileError

MAX_PIXELS = 400_000_000
"""Pixels that all frames of a video in memory may have together: 4.8 GB in float32, 193 frames of 1920×1080."""


@dataclass(frozen=True)
class FrameSource(ABC):
    """The frames of a video, read anew by each iteration: (H, W, 3) uint8 RGB, all of one size.

    Attributes:
        name: For results: the file's or the folder's, or that of a benchmark's sequence.
        fps: Frames per second; of a video file with a variable rate, its mean.
        size: Width and height in pixels, as the frames are shown.
        count: Number of frames. Of a video file an estimate from its duration, None where it states none.
    """

    name: str
    fps: float
    size: tuple[int, int]
    count: int | None

    @abstractmethod
    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Read the frames; `InvalidValueError`, or `MissingFileError`, names the file of one that cannot be read."""


@dataclass(frozen=True)
class PictureFrames(FrameSource):
    """The frames of a sequence of images; one in memory at a time."""

    images: Sequence[Path] = field(repr=False)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Read the images, which must be of one size."""
        for path in self.images:
            image = read_image(path)
            height, width = image.shape[:2]
            if (width, height) != self.size:
                expected = f"{self.size[0]}×{self.size[1]} pixels as in the first image"
                raise InvalidValueError(printable(path), expected, f"{width}×{height}")
            yield image


@dataclass(frozen=True)
class FileFrames(FrameSource):
    """The frames of a video file, every one that it stores, turned as players show them; a few in memory at a time."""

    path: Path

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Decode the frames."""
        return decode_frames(self.path)


def open_frames(source: str | os.PathLike[str], layout: Layout | None = None) -> FrameSource:
    """Open a video to be read frame by frame. The first frame is read at once, so that what is no video is refused.

    Args:
        source: A video file (MP4, MOV, AVI, Matroska); a folder of JPEG or PNG pictures, in the order of the numbers
            that their names end in; or a sequence of a benchmark, as `open_sequence` takes it.
        layout: The benchmark; None recognises the folders of single sequences.

    Raises:
        MissingFileError: If there is no such file, folder or sequence.
        InvalidValueError: If it cannot be read, or a folder may be of several benchmarks.

    Example:
        >>> frames = open_frames("street.mp4")
        >>> frames.size, frames.fps, frames.count
        >>> for frame in frames: ...
    """
    path = Path(source)
    if (sequence := open_sequence(path, layout)) is not None:
        return open_images(sequence.name, sequence.images, sequence.frame_rate)
    if path.is_dir():
        images = tuple(numbered_images(path).values())
        for image in images:
            if image.is_symlink() and leads_out(image, path):
                raise InvalidValueError(printable(image), f"a file in {printable(path)}", "a link that leads out of it")
        return open_images(path.name, images)
    about = probe_video(path)
    return FileFrames(path.stem, about.fps, about.size, about.count, path)


def load_frames(source: FrameSource, max_frames: int | None = None) -> NDArray[np.float32]:
    """All frames in memory, (F, H, W, 3) float32 RGB in [0, 1].

    Args:
        source: The frames.
        max_frames: How many to take, from the first; None for all.

    Raises:
        InvalidValueError: If they have more pixels than `MAX_PIXELS`, or one cannot be read.
    """
    width, height = source.size
    limit = MAX_PIXELS // (width * height)
    frames: list[NDArray[np.uint8]] = []
    for frame in islice(source, max_frames):
        if len(frames) == limit:
            expected = f"at most {limit} frames of {width}×{height} pixels in memory ({MAX_PIXELS:,} pixels)"
            fix = "give max_frames, or read it frame by frame with open_frames"
            raise InvalidValueError(printable(source.name), expected, "more", fix)
        frames.append(frame)
    loaded = np.empty((len(frames), height, width, 3), np.float32)
    for number, frame in enumerate(frames):
        loaded[number] = frame
    loaded /= np.float32(255)  # as ARMORY does it, so that frames are the same to the last bit
    return loaded


def open_images(name: str, images: Sequence[Path], fps: float = FRAME_RATE) -> PictureFrames:
    """The frames of a sequence of image files; the first is read for its size."""
    height, width = read_image(images[0]).shape[:2]
    return PictureFrames(name, fps, (width, height), len(images), images)


def open_sequence(path: Path, layout: Layout | None = None) -> ImageSequence | None:
    """A benchmark's sequence with its boxes; None for a file, or a folder that is no benchmark's.

    Args:
        path: The folder of the data set, followed by the sequence's name: ``otb/Human7``, or ``DAVIS/bear`` with the
            layout "davis", even where no folder has that path.
        layout: How the folder of the data set is laid out; None recognises OTB, GOT-10k, LaSOT and VOT.

    Raises:
        MissingFileError: If there is neither a file nor a folder of this name, or the layout knows of no such sequence.
        InvalidValueError: If a folder may be of several benchmarks, or a file of the sequence is wrong.
    """
    if layout is None:
        if not os.path.exists(path):
            raise MissingFileError(printable(path), "a video file, or a folder of pictures", "none")
        layout = recognise(path) if path.is_dir() else None
    root, name = os.path.split(os.path.abspath(path))
    return None if layout is None else read_sequence(Path(root), layout, name)
