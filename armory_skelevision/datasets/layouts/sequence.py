"""A video as a benchmark stores it, images and true boxes, and what the readers of all layouts share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.boxes import LEFT_OUT_XYXY, is_annotated
from armory_skelevision.datasets.numbers import duplicates, parse_box_xywh, place, read_lines
from armory_skelevision.io import leads_out, list_folder, printable
from armory_skelevision.validation import InvalidValueError

FRAME_RATE = 30.0
"""Frames per second where a benchmark states none: most of its videos are ordinary camera footage."""


class ImageSequence(NamedTuple):
    """A video with one annotated target.

    Attributes:
        name: The benchmark's name of the sequence; where a folder has several targets, followed by ``-1``, ``-2``.
        images: The frames' files, in order.
        groundtruth: The file or folder of the true boxes.
        boxes_xyxy: (F, 4) float32, pixel edges counted from 0. `boxes.LEFT_OUT_XYXY` and `boxes.LOST_XYXY` mark
            frames without the target, as the benchmark prescribes it.
        frame_rate: Frames per second.
    """

    name: str
    images: tuple[Path, ...]
    groundtruth: Path
    boxes_xyxy: NDArray[np.float32]
    frame_rate: float = FRAME_RATE

    @property
    def is_annotated(self) -> bool:
        """Whether there is a true box beside that of the first frame, which the tracker is given."""
        return is_annotated(self.boxes_xyxy)


Readers: TypeAlias = Mapping[str, Callable[[], ImageSequence]]
"""The sequences in a folder, by name, and what reads each; that raises `InvalidValueError`, or `MissingFileError`."""


def find_folders(root: Path, file: str, nested: bool = False) -> list[Path]:
    """The folders below ``root`` that have a file of this name.

    Args:
        root: Where to search.
        file: Name of the file.
        nested: Whether to search the folders' folders, too.
    """
    folders = [folder for folder in list_folder(root) if folder.is_dir() and not folder.name.startswith(".")]
    if nested:
        folders += [inner for folder in folders for inner in list_folder(folder) if inner.is_dir()]
    found = [folder for folder in folders if os.path.exists(folder / file)]
    return found


def merge(root: Path, readers: Iterable[tuple[str, Callable[[], ImageSequence]]]) -> Readers:
    """The readers by name (`InvalidValueError` if two have one, as a folder and the second target of another may)."""
    listed = list(readers)
    if twice := duplicates([name for name, _ in listed]):
        raise InvalidValueError(printable(root), "one sequence of each name", f"several called {', '.join(twice)}")
    return dict(listed)


def read_boxes_xywh(truth: Path, root: Path) -> list[tuple[float, float, float, float]]:
    """The boxes x, y, w, h of a file with a line for each frame; `InvalidValueError` for another line, or none."""
    lines = read_lines(truth, root)
    if not lines:
        raise InvalidValueError(printable(truth), "one line x,y,w,h per image", "an empty file")
    return [parse_box_xywh(line, place(truth, number)) for number, line in enumerate(lines, start=1)]


def to_xyxy(
    truth: Path, boxes_xywh: Sequence[Sequence[float] | None], absent_xyxy: Sequence[float] = LEFT_OUT_XYXY
) -> NDArray[np.float32]:
    """Boxes (F, 4) float32 as corners, pixel edges counted from 0, from boxes x, y, w, h counted from 0.

    Args:
        truth: Their file, for errors.
        boxes_xywh: The boxes; None for a frame without the target.
        absent_xyxy: The box of such a frame.

    Raises:
        InvalidValueError: If a box has no area, or there is none in the first frame, which the tracker is given.
    """
    if boxes_xywh[0] is None:
        fix = "leave out the frames before the target appears, or this sequence"
        raise InvalidValueError(place(truth, 1), "the target in the first frame", "none", fix)
    boxes_xyxy = np.empty((len(boxes_xywh), 4), np.float32)
    for frame, box_xywh in enumerate(boxes_xywh):
        if box_xywh is None:
            boxes_xyxy[frame] = absent_xyxy
            continue
        x, y, width, height = box_xywh
        boxes_xyxy[frame] = x, y, x + width, y + height
        left, top, right, bottom = boxes_xyxy[frame]
        if not (left < right and top < bottom):
            expected = "a box x,y,w,h with w and h above 0 in a frame that shows the target"
            raise InvalidValueError(place(truth, frame + 1), expected, str(list(box_xywh)))
    return boxes_xyxy


def check_count(path: Path, values: int, frames: int, what: str = "flags") -> None:
    """Refuse a file that has not one value for each frame (`InvalidValueError`)."""
    if values != frames:
        raise InvalidValueError(printable(path), f"{frames} {what}, as many as boxes", str(values))


def check_links(sequence: ImageSequence, root: Path) -> None:
    """Refuse images that lie outside of the folder of the data (`InvalidValueError`), whatever links lead there."""
    folders = {path.parent for path in sequence.images}
    for path in [*folders, *(path for path in sequence.images if path.is_symlink())]:
        if leads_out(path, root):
            expected, fix = f"a path in {printable(root)}", "store the data there, or name their real folder"
            raise InvalidValueError(printable(path), expected, "a link that leads out of it", fix)
