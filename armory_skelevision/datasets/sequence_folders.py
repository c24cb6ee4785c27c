"""``sequences``: videos of seven benchmarks as they are published, or your own in one of their layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import loguru
import numpy as np

from armory_skelevision.boxes import has_area
from armory_skelevision.datasets.frame_source import load_frames, open_images
from armory_skelevision.datasets.layouts import ImageSequence, Layout, find_sequences, read_sequence
from armory_skelevision.datasets.layouts.sequence import Readers
from armory_skelevision.datasets.numbers import duplicates, name_some, read_lines
from armory_skelevision.datasets.options import checks_options, find_root, resolve_dataset_dir
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.selection import select, single_split
from armory_skelevision.io import printable, progress
from armory_skelevision.validation import AnyPath, Count, InvalidValueError, MissingFileError, WholeNumber

ALL = "all"
"""The split of all sequences."""


@checks_options
def sequences(
    split: str = ALL,
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    *,
    layout: Layout,
    root: AnyPath,
    names: Sequence[str] | None = None,
    max_frames: Count | None = 100,
) -> Any:
    """Videos of a benchmark in the layout in which it is published, with the patch of the SkeleVision paper overlaid.

    The images are read where they are; nothing is prepared. Frames without the target count as the benchmark
    prescribes.

    Args:
        split: ``all``; or a text file with the name of a sequence in each line, such as ``list.txt``, below ``root`` or
            in the working directory; or a slice of one (``list.txt[0:5]``).
        layout: How ``root`` is laid out: as published by OTB, GOT-10k, LaSOT, UAV123, TrackingNet, VOT or DAVIS.
        root: Folder of the data: absolute, or relative to the working directory or to ``dataset_dir``.
        names: Sequences to take, of those in ``split``, all of which must exist; None for all.
        max_frames: Frames kept of each video; None keeps all.

    Returns:
        ``ArmoryDataGenerator``: boxes float32; metadata ``gs_coords``, ``masks``, ``shading`` (False), and ``name``,
        that of the sequence.
    """
    folder = find_root(root, resolve_dataset_dir(dataset_dir), f"name the folder of data in the layout {layout!r}")
    chosen = choose_sequences(split, index, layout, folder, names)
    from armory.data import datasets

    if not all(has_area(sequence.boxes_xyxy).all() for sequence in chosen):
        # it takes the empty boxes of absent targets for normalised ones, and warns of each frame
        loguru.logger.disable("armory.metrics.task")
    context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=chosen[0].frame_rate)
    batches = _batches(chosen, epochs, shuffle_files, max_frames)
    return datasets.ArmoryDataGenerator(batches, size=len(chosen), epochs=epochs, batch_size=1, context=context)


def choose_sequences(
    split: str, index: list[int] | str | None, layout: Layout, root: Path, names: Sequence[str] | None = None
) -> list[ImageSequence]:
    """Read the boxes of the sequences that `sequences` would take, and list their images.

    Raises:
        MissingFileError: If there is no such sequence, list or file.
        InvalidValueError: If a file is wrong, or the benchmark withholds the true boxes of a sequence.
    """
    readers = find_sequences(root, layout)
    listed = _list_names(split, root, readers)
    if names is not None:
        if missing := [name for name in names if name not in listed]:
            raise MissingFileError(printable(root), f"the sequences {name_some(missing)}", "none in the split")
        listed = [name for name in listed if name in set(names)]
    bar = progress(select(len(listed), split, index), "Reading true boxes", unit="sequence")
    chosen = [read_sequence(root, layout, listed[number], readers) for number in bar]
    for sequence in chosen:
        if not sequence.is_annotated:
            got, fix = "one of the first frame only", "take a split whose truth is published"
            raise InvalidValueError(printable(sequence.groundtruth), "true boxes of all frames", got, fix)
    return chosen


def _list_names(split: str, root: Path, readers: Readers) -> list[str]:
    """The names of the sequences of a split without its slices, in order."""
    name = split.partition("[")[0]
    if not name.endswith(".txt"):
        single_split(split, [ALL])
        return list(readers)
    single_split(split, [name])
    path = root / name if (root / name).exists() else Path(name).expanduser()
    listed = [line for line in read_lines(path) if line]
    if not listed:
        raise InvalidValueError(printable(path), "the name of a sequence in each line", "no name")
    if twice := duplicates(listed):
        raise InvalidValueError(printable(path), "each name once", f"several times {name_some(twice)}")
    if missing := [each for each in listed if each not in readers]:
        raise MissingFileError(printable(root), f"the sequences in {printable(path)}", f"no {name_some(missing)}")
    return listed


def _batches(
    chosen: Sequence[ImageSequence], epochs: int, shuffle: bool, max_frames: int | None
) -> Iterator[tuple[np.ndarray, Any]]:
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for number in rng.permutation(len(chosen)) if shuffle else range(len(chosen)):
            sequence = chosen[number]
            frames = load_frames(open_images(sequence.name, sequence.images[:max_frames]))
            boxes_xyxy = sequence.boxes_xyxy[:max_frames]
            metadata = place_patch(boxes_xyxy, *frames.shape[1:3])
            yield frames[None], ([{"boxes": boxes_xyxy}], {**metadata, "name": printable(sequence.name)})
