"""``walker_people`` and ``coco_people``: persons with keypoints, as single images or short clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.clips import Clip, generate_clips
from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.options import checks_options, find_root, resolve_dataset_dir
from armory_skelevision.datasets.people import AnnotatedPerson, check_inside
from armory_skelevision.datasets.selection import select, single_split
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.datasets.walker_videos import find_split
from armory_skelevision.io import printable
from armory_skelevision.io.images import read_image
from armory_skelevision.validation import (
    AnyPath,
    Count,
    InvalidValueError,
    MissingFileError,
    PathText,
    StructuredError,
    WholeNumber,
)


@checks_options
def walker_people(
    split: str = "dev",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    root: AnyPath | None = None,
    every: Count = 10,
    max_frames: Count = 1,
) -> Any:
    """People of the rendered videos: a clip starts at every ``every``-th frame.

    The batches are those of `clips`.

    Args:
        split: As for `walkers`; slices count clips.
        root: As for `walkers`.
        every: Frames from the start of a clip to the start of the next.
        max_frames: Frames of a clip; clips at a video's end that would be shorter are left out.
    """
    videos = read_split(find_split(split, None if root is None else find_root(root, resolve_dataset_dir(dataset_dir))))
    read_frames = lru_cache(maxsize=1)(WalkerVideo.read_frames)  # clips come in the order of their videos
    clips = [clip for video in videos for clip in _clips_of(video, every, max_frames, read_frames)]
    return generate_clips(
        [clips[number] for number in select(len(clips), split, index)], epochs, videos[0].frame_rate, shuffle_files
    )


@checks_options
def coco_people(
    split: str = "val",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    root: AnyPath = "coco",
    annotations: PathText = "annotations/person_keypoints_val2017.json",
    images: PathText = "val2017",
) -> Any:
    """People of COCO, or of your own images in its format, one image each.

    The batches are those of `clips`. Selected are persons that are not marked as a crowd, with more than 5 keypoints
    and an area above 16 pixels.

    Args:
        split: ``val``, or a slice of it (``val[0:50]``).
        root: Folder of annotations and images: absolute, or relative to the working directory or to ``dataset_dir``.
        annotations: COCO's JSON file of person keypoints, below ``root``.
        images: Folder of the images, below ``root``.
    """
    single_split(split, ["val"])
    folder = find_root(root, resolve_dataset_dir(dataset_dir))
    people = read_coco(folder / annotations, folder / images)
    problems = people.problems + [found for part in people.parts.values() for found in _find_problems(part)]
    if problems:
        got = f"{len(problems)} that cannot be used; the first: {problems[0]}"
        raise InvalidValueError("annotations", "usable persons only", got)
    clips = [
        Clip(partial(_read_picture, person), person.box_xyxy[None], person.keypoints, person.area)
        for part in people.parts.values()
        for person in part
    ]
    return generate_clips([clips[number] for number in select(len(clips), split, index)], epochs, 1.0, shuffle_files)


def _clips_of(
    video: WalkerVideo, every: int, length: int, read_frames: Callable[[WalkerVideo], NDArray[np.uint8]]
) -> Iterator[Clip]:
    def read(part: slice) -> NDArray[np.uint8]:
        return read_frames(video)[part]

    for start in range(0, len(video.boxes_xyxy) - length + 1, every):
        if (video.keypoints[start, :, 2] > 0).any():
            part = slice(start, start + length)
            yield Clip(partial(read, part), video.boxes_xyxy[part], video.keypoints[start])


def _find_problems(people: Sequence[AnnotatedPerson]) -> Iterator[str]:
    """Pictures that are missing, and persons outside of theirs, before an evaluation begins that would end there."""
    for person in people:
        try:
            if not os.path.isfile(person.picture):
                raise MissingFileError("file_name", "an image", "no such file")
            if person.size is not None:
                check_inside(person, *person.size)
        except StructuredError as error:
            yield f"{person.name} on {printable(person.picture)}: {error}"


def _read_picture(person: AnnotatedPerson) -> NDArray[np.uint8]:
    return read_image(person.picture, person.size)[None]
