"""``otb_person``: persons of the Object Tracking Benchmark (OTB2015), or your own videos in its layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.layouts import ImageSequence
from armory_skelevision.datasets.numbers import place
from armory_skelevision.datasets.options import checks_options, find_root, resolve_dataset_dir
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.datasets.selection import select, single_split
from armory_skelevision.datasets.tfds_records import Columns, ReadOptions, TfdsSplit, hash_files
from armory_skelevision.io import printable
from armory_skelevision.io.images import encode_png, read_image
from armory_skelevision.validation import AnyPath, Count, InvalidValueError, WholeNumber

FRAME_RATE = 30.0
"""Frames per second. OTB states no rate; most of its videos are ordinary camera footage."""


@checks_options
def otb_person(
    split: str = "test",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    root: AnyPath = "otb",
    names: Sequence[str] | Literal["paper"] | None = None,
    max_frames: Count | None = 100,
) -> Any:
    """Persons of OTB2015 with the patch of the SkeleVision paper overlaid.

    The sequences are prepared on first use: their first ``max_frames`` frames are stored, without loss, under
    ``<dataset_dir>/otb_person``. Other sequences or other frames are prepared again.

    Args:
        split: ``test``, or a slice of it (``test[0:5]``).
        root: Folder with a folder for each sequence (``img/*.jpg``, ``groundtruth_rect.txt``): absolute, or relative
            to the working directory or to ``dataset_dir``.
        names: Sequences to take, all of which must exist; ``paper`` for the 38 of the paper's OTB2015-Person. None
            takes every sequence under ``root`` except those of OTB2015 that the paper does not count as persons.
        max_frames: Frames kept of each video; None keeps all.

    Returns:
        ``ArmoryDataGenerator``: boxes float32; metadata ``gs_coords``, ``masks``, ``shading`` (False), and ``name``,
        that of the sequence.
    """
    name = single_split(split, ["test"])
    folder = resolve_dataset_dir(dataset_dir)
    fix = "fetch sequences with `skelevision data otb --out otb Crossing Human7`, or name their folder"
    sequences = find_sequences(find_root(root, folder, fix), sorted(PERSON_FOLDERS) if names == "paper" else names)
    names_of_all = [printable(each.name) for each in sequences]
    numbers = select(len(sequences), split, index)
    files = (path for each in sequences for path in (each.groundtruth, *each.images[:max_frames]))
    source_hash = hash_files(files, max_frames, names_of_all)
    records = TfdsSplit("otb_person", name, source_hash, folder)
    records.prepare(_examples(sequences, max_frames), len(sequences), {})
    options = ReadOptions(numbers, epochs, shuffle_files, max_frames)
    return records.read(options, _make_labels, FRAME_RATE, names_of_all)


def _examples(sequences: Sequence[ImageSequence], max_frames: int | None) -> Iterator[dict[str, Any]]:
    for sequence in sequences:
        frames = _encode_frames(sequence, max_frames)
        yield {"video": frames, "labels": {"boxes": sequence.boxes_xyxy[:max_frames]}}


def _encode_frames(sequence: ImageSequence, max_frames: int | None) -> list[bytes]:
    frames = []
    height, width = read_image(sequence.images[0]).shape[:2]
    _check_boxes(sequence.groundtruth, sequence.boxes_xyxy[:max_frames], height, width)
    for path in sequence.images[:max_frames]:
        image = read_image(path)
        if image.shape[:2] != (height, width):
            expected = f"{width}×{height} pixels as in the first image"
            raise InvalidValueError(printable(path), expected, f"{image.shape[1]}×{image.shape[0]}")
        frames.append(encode_png(image))
    return frames


def _check_boxes(truth: Path, boxes_xyxy: NDArray[np.float32], height: int, width: int) -> None:
    """Refuse a true box without any overlap with its image; OTB's boxes may leave it in part."""
    outside = (boxes_xyxy[:, 2:] <= 0) | (boxes_xyxy[:, :2] >= (width, height))
    for frame in np.flatnonzero(outside.any(axis=1)):
        expected, got = f"a box in the image, {width}×{height}", f"xyxy {boxes_xyxy[frame].tolist()}"
        fix = "is it the truth of other images? Or leave out the frames without the target"
        raise InvalidValueError(place(truth, int(frame) + 1), expected, got, fix)


def _make_labels(height: int, width: int, columns: Columns) -> tuple[NDArray[np.float32], dict[str, Any]]:
    boxes_xyxy = columns["boxes"]
    return boxes_xyxy, place_patch(boxes_xyxy, height, width)
