"""``walker_people`` and ``coco_people``: persons with their keypoints, as single pictures or short clips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.clips import Clip, choose_clips, generate_clips
from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.options import check_options, find_root, resolve_dataset_dir, single_split
from armory_skelevision.datasets.otb import read_image
from armory_skelevision.datasets.people import Person
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.datasets.walker_videos import SPLITS


def walker_people(
    split: str = "dev",
    epochs: int = 1,
    batch_size: int = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: str = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] | None = None,
    every: int = 10,
    max_frames: int = 1,
    **unknown: object,
) -> Any:
    """People of the rendered videos, each nth frame the start of a clip of its own; see `clips` for what comes out.

    Args:
        split: As for `walkers`; slices count clips.
        epochs: Passes over the data.
        batch_size: 1.
        dataset_dir: Where a relative ``root`` is looked for too; None for ARMORY's.
        framework: ``numpy``.
        shuffle_files: Whether the order changes in each pass.
        index: ARMORY's choice of clips: numbers, or a slice as text.
        root: As for `walkers`.
        every: Frames from the start of a clip to that of the next.
        max_frames: Of a clip; a video's last clips, which would be shorter, are left out.
        unknown: Refused, with the known options named.

    Returns:
        ``ArmoryDataGenerator``.

    Raises:
        FileNotFoundError: If the root is missing.
        ValueError: If an option, a video or an annotation is not as expected.
        TypeError: For an unknown option.
    """
    check_options(
        walker_people, unknown, batch_size=batch_size, epochs=epochs, framework=framework, max_frames=max_frames
    )
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"walker_people: every: expected a whole number above 0, got {every!r}")
    source = SPLITS if root is None else find_root(root, resolve_dataset_dir(dataset_dir))
    available = sorted(path.name for path in source.iterdir() if any(path.glob("*.mp4"))) if source.is_dir() else []
    videos = read_split(source / single_split(walker_people, split, available))
    decoder = LastVideo()
    clips = [clip for video in videos for clip in _clips_of(video, every, max_frames, decoder)]
    return generate_clips(choose_clips(clips, split, index), epochs, videos[0].frame_rate, shuffle_files)


def coco_people(
    split: str = "val",
    epochs: int = 1,
    batch_size: int = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: str = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] = "coco",
    annotations: str = "annotations/person_keypoints_val2017.json",
    images: str = "val2017",
    **unknown: object,
) -> Any:
    """People of COCO, or of own pictures annotated alike, a picture each; see `clips` for what comes out.

    Chosen are those that are no crowd, with more than 5 keypoints and an area above 16 pixels, as for training.

    Args:
        split: ``val``, or a slice of it (``val[0:50]``).
        epochs: Passes over the data.
        batch_size: 1.
        dataset_dir: Where a relative ``root`` is looked for too; None for ARMORY's.
        framework: ``numpy``.
        shuffle_files: Whether the order changes in each pass.
        index: ARMORY's choice of people: numbers, or a slice as text.
        root: Folder of annotations and pictures, absolute, or relative to the working directory or ``dataset_dir``.
        annotations: COCO's JSON file of person keypoints, below ``root``.
        images: Folder of the pictures, below ``root``.
        unknown: Refused, with the known options named.

    Returns:
        ``ArmoryDataGenerator``.

    Raises:
        FileNotFoundError: If the root, the annotations or the folder of pictures is missing.
        ValueError: If an option or an annotation is not as expected.
        TypeError: For an unknown option.
    """
    check_options(coco_people, unknown, batch_size=batch_size, epochs=epochs, framework=framework, max_frames=None)
    single_split(coco_people, split, ["val"])
    folder = find_root(root, resolve_dataset_dir(dataset_dir))
    people = read_coco(folder / annotations, folder / images)
    if people.faults:
        raise ValueError(f"coco_people: {len(people.faults)} persons cannot be read; the first: {people.faults[0]}")
    clips = [_clip_of(person) for part in people.parts.values() for person in part]
    return generate_clips(choose_clips(clips, split, index), epochs, 1.0, shuffle_files)


class LastVideo:
    """Decodes videos and keeps the last one, since clips come in the order of their videos."""

    def __init__(self) -> None:
        self._video: WalkerVideo | None = None
        self._frames: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)

    def read(self, video: WalkerVideo, part: slice) -> NDArray[np.uint8]:
        """Some frames of a video, (F, H, W, 3)."""
        if self._video is not video:
            self._video, self._frames = video, video.read_frames()
        return self._frames[part]


def _clips_of(video: WalkerVideo, every: int, length: int, decoder: LastVideo) -> Iterator[Clip]:
    for start in range(0, len(video.boxes_xyxy) - length + 1, every):
        if (video.keypoints[start, :, 2] > 0).any():
            part = slice(start, start + length)
            yield Clip(partial(decoder.read, video, part), video.boxes_xyxy[part], video.keypoints[start])


def _clip_of(person: Person) -> Clip:
    return Clip(partial(_read_picture, person), person.box_xyxy[None], person.keypoints, person.area)


def _read_picture(person: Person) -> NDArray[np.uint8]:
    picture = read_image(person.picture)
    if person.size is not None and picture.shape[:2] != person.size[::-1]:
        raise ValueError(
            f"{person.picture}: expected {person.size[0]}x{person.size[1]} pixels as its annotation says, "
            f"got {picture.shape[1]}x{picture.shape[0]}"
        )
    return picture[None]
