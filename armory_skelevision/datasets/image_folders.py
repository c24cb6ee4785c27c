"""Folders of images that are the frames of a video: JPEG or PNG files whose names end in the frame's number."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError

IMAGE_TYPES = (".jpg", ".jpeg", ".png")


def numbered_images(folder: Path) -> dict[int, Path]:
    """The images of a folder by the numbers that their names end in, ascending; other and hidden files are ignored.

    Raises:
        MissingFileError: If there is no such folder.
        InvalidValueError: If it has no images, one without a number, or several for one frame.
    """
    images: dict[int, Path] = {}
    for path in list_folder(folder):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_TYPES:
            continue
        match = re.search(r"([0-9]+)$", path.stem)
        if match is None:
            expected = "a name that ends in the frame's number, as 0001.jpg"
            raise InvalidValueError(printable(path), expected, printable(path.name))
        if (other := images.setdefault(int(match[1]), path)) != path:
            got = f"{printable(other.name)} for frame {int(match[1])}, too"
            raise InvalidValueError(printable(path), "one image per frame", got)
    if not images:
        raise InvalidValueError(printable(folder), f"images ({', '.join(IMAGE_TYPES)})", "none")
    return dict(sorted(images.items()))


def take_range(folder: Path, images: Mapping[int, Path], first: int, last: int) -> tuple[Path, ...]:
    """The images from one number to another, both included (`InvalidValueError` for gaps).

    Args:
        folder: Where they are, for errors.
        images: The images by number, ascending.
        first: Number of the first frame.
        last: Number of the last frame.
    """
    # Numbers may be far apart: a range over them may be larger than the memory.
    given = [number for number in images if first <= number <= last]
    if gaps := [number for number, after in itertools.pairwise([first - 1, *given, last + 1]) if after > number + 1]:
        count = last - first + 1 - len(given)
        got = f"{count} missing: {', '.join(str(number + 1) for number in gaps[:5])}" + (", …" if count > 1 else "")
        raise InvalidValueError(printable(folder), f"frames {first} to {last}", got)
    return tuple(images[number] for number in given)


def match_images(truth: Path, boxes: int, frames: tuple[Path, ...]) -> tuple[Path, ...]:
    """The images themselves, if there are as many of them as boxes in the file of the truth (`InvalidValueError`)."""
    if len(frames) != boxes:
        names = f"{printable(frames[0].name)} to {printable(frames[-1].name)}"
        got = f"{boxes} boxes for {len(frames)} images ({names})"
        raise InvalidValueError(printable(truth), "one line per image", got)
    return frames
