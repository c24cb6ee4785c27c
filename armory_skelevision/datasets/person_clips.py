"""``walker_people`` and ``coco_people``: persons with keypoints, as single images or short clips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.clips import Clip, generate_clips, select_clips
from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.images import read_image
from armory_skelevision.datasets.options import checks_options, find_root, resolve_dataset_dir, single_split
from armory_skelevision.datasets.people import AnnotatedPerson
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.datasets.walker_videos import find_split
from armory_skelevision.validation import Count, InvalidValueError


@checks_options
def walker_people(
    split: str = "dev",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] | None = None,
    every: Count = 10,
    max_frames: Count = 1,
) -> Any:
    """People of the rendered videos: a clip starts at every ``every``-th frame.

    Args:
        split: As for `walkers`; slices count clips.
        epochs: Passes over the data.
        batch_size: Clips per batch.
        dataset_dir: Folder in which a relative ``root`` is searched, too; None for ARMORY's.
        framework: Type of the batches.
        shuffle_files: Whether the order changes in each pass.
        index: Clips to take: their numbers, or a slice as text (``[2:5]``); None for all.
        root: As for `walkers`.
        every: Frames from the start of a clip to the start of the next.
        max_frames: Frames of a clip; clips at a video's end that would be shorter are left out.

    Returns:
        ``ArmoryDataGenerator``.

    Raises:
        MissingFileError: If the root is missing.
        InvalidValueError: If an option is unknown or wrong, or a video or an annotation cannot be read.
    """
    videos = read_split(find_split(split, None if root is None else find_root(root, resolve_dataset_dir(dataset_dir))))
    cache = VideoCache()
    clips = [clip for video in videos for clip in _clips_of(video, every, max_frames, cache)]
    return generate_clips(select_clips(clips, split, index), epochs, videos[0].frame_rate, shuffle_files)


@checks_options
def coco_people(
    split: str = "val",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] = "coco",
    annotations: str = "annotations/person_keypoints_val2017.json",
    images: str = "val2017",
) -> Any:
    """People of COCO, or of your own images in its format, one image each.

    Selected are persons that are not marked as a crowd, with more than 5 keypoints and an area above 16 pixels.

    Args:
        split: ``val``, or a slice of it (``val[0:50]``).
        epochs: Passes over the data.
        batch_size: Clips per batch.
        dataset_dir: Folder in which a relative ``root`` is searched, too; None for ARMORY's.
        framework: Type of the batches.
        shuffle_files: Whether the order changes in each pass.
        index: People to take: their numbers, or a slice as text (``[2:5]``); None for all.
        root: Folder of annotations and images: absolute, or relative to the working directory or to ``dataset_dir``.
        annotations: COCO's JSON file of person keypoints, below ``root``.
        images: Folder of the images, below ``root``.

    Returns:
        ``ArmoryDataGenerator``.

    Raises:
        MissingFileError: If the root, the annotations or the folder of images is missing.
        InvalidValueError: If an option is unknown or wrong, or an annotation cannot be read.
    """
    single_split(split, ["val"])
    folder = find_root(root, resolve_dataset_dir(dataset_dir))
    people = read_coco(folder / annotations, folder / images)
    if people.problems:
        got = f"{len(people.problems)} that cannot be read; the first: {people.problems[0]}"
        raise InvalidValueError("annotations", "usable persons only", got)
    clips = [_clip_of(person) for part in people.parts.values() for person in part]
    return generate_clips(select_clips(clips, split, index), epochs, 1.0, shuffle_files)


class VideoCache:
    """Decodes videos and keeps the last one, because clips come in the order of their videos."""

    def __init__(self) -> None:
        self._video: WalkerVideo | None = None
        self._frames: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)

    def read(self, video: WalkerVideo, part: slice) -> NDArray[np.uint8]:
        """Some frames of a video, (F, H, W, 3) uint8 RGB."""
        if self._video is not video:
            self._video, self._frames = video, video.read_frames()
        return self._frames[part]


def _clips_of(video: WalkerVideo, every: int, length: int, cache: VideoCache) -> Iterator[Clip]:
    for start in range(0, len(video.boxes_xyxy) - length + 1, every):
        if (video.keypoints[start, :, 2] > 0).any():
            part = slice(start, start + length)
            yield Clip(partial(cache.read, video, part), video.boxes_xyxy[part], video.keypoints[start])


def _clip_of(person: AnnotatedPerson) -> Clip:
    return Clip(partial(_read_picture, person), person.box_xyxy[None], person.keypoints, person.area)


def _read_picture(person: AnnotatedPerson) -> NDArray[np.uint8]:
    picture = read_image(person.picture)
    if person.size is not None and picture.shape[:2] != person.size[::-1]:
        expected = f"{person.size[0]}×{person.size[1]} pixels as annotated"
        raise InvalidValueError(str(person.picture), expected, f"{picture.shape[1]}×{picture.shape[0]}")
    return picture[None]
