"""The videos of an entry: a packaged split, or sequences of OTB2015 with the patch of the SkeleVision paper."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from armory_skelevision.datasets import Video, load_video
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.datasets.otb_video import load_overlaid
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import find_split
from armory_skelevision.io import hash_file
from armory_skelevision.leaderboard.entry import ALL_PERSONS, Data, DataName
from armory_skelevision.validation import InvalidValueError


class Videos(NamedTuple):
    """The videos that an entry is measured on."""

    data: Data
    """What an entry says of them."""
    loaders: Sequence[Callable[[], Video]]
    """What loads each, by its number."""


def open_videos(name: DataName, split: str, frames: int, otb: Path | None) -> Videos:
    """Find the videos of a split, and hash their files. No picture is decoded yet.

    Args:
        name: The data set.
        split: See `entry.Data`.
        frames: How many frames of each video, from the first.
        otb: The folder of the sequences, for "otb_person" alone.

    Raises:
        InvalidValueError: If ``otb`` is missing, or given in vain, or a sequence's files do not fit each other.
        MissingFileError: If a sequence is missing.
    """
    if name == "otb_person":
        if otb is None:
            raise InvalidValueError("otb", "the folder of OTB's sequences", "none", "name it by --otb FOLDER")
        return _open_sequences(split, frames, otb)
    if otb is not None:
        raise InvalidValueError("otb", "none for the packaged videos", str(otb), "leave it out")
    numbers = range(len(read_split(find_split(split))))
    loaders = [partial(_load_packaged, split, number, frames) for number in numbers]
    return Videos(Data("walkers", split, hash_split(split), frames), loaders)


def _open_sequences(split: str, frames: int, otb: Path) -> Videos:
    sequences = find_sequences(otb, PERSON_FOLDERS if split == ALL_PERSONS else split.split("+"))
    files = [
        (f"{each.name}/{path.name}", path) for each in sequences for path in (each.groundtruth, *each.images[:frames])
    ]
    loaders = [partial(load_overlaid, each, frames) for each in sequences]
    return Videos(Data("otb_person", split, _hash_list(files), frames), loaders)


def hash_split(split: str) -> str:
    """SHA-256 of a packaged split: of the lines "hash  name" of its files by name, as sha256sum prints them."""
    files = [file for video in read_split(find_split(split)) for file in sorted([video.path, video.annotation])]
    return _hash_list((path.name, path) for path in files)


def _hash_list(files: Iterable[tuple[str, Path]]) -> str:
    lines = [f"{hash_file(path)}  {name}\n" for name, path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _load_packaged(split: str, number: int, frames: int) -> Video:
    return load_video(f"walkers/{split}/{number}")[:frames]
