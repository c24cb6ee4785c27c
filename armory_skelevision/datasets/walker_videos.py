"""``walkers``: people in a rendered town, in splits of H.264 videos with annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.options import checks_options, find_root, resolve_dataset_dir
from armory_skelevision.datasets.selection import select, single_split
from armory_skelevision.datasets.tfds_records import Columns, ReadOptions, TfdsSplit, hash_files
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.io import list_folder, printable
from armory_skelevision.io.images import encode_png
from armory_skelevision.validation import AnyPath, Count, WholeNumber

SPLITS = Path(__file__).parent / "walker_splits"
"""Folder of the packaged splits."""


@checks_options
def walkers(
    split: str = "dev",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    root: AnyPath | None = None,
    max_frames: Count | None = None,
) -> Any:
    """Videos of the rendered town: one person to track, others around, and a green screen that the person passes.

    A split is prepared on first use: its frames are stored, without loss, under ``<dataset_dir>/walkers``. Changed
    videos are prepared again.

    Args:
        split: ``dev`` (20 videos), ``mini`` (3), another folder under ``root``, or a slice of one (``dev[0:5]``).
        root: Folder with a folder for each split: absolute, or relative to the working directory or to
            ``dataset_dir``. None for the packaged splits.
        max_frames: Frames kept of each video; None keeps all.

    Returns:
        ``ArmoryDataGenerator``: boxes float32; metadata ``gs_coords``, ``masks``, ``keypoints`` (F, 17, 3) float32: x,
        y, visibility (0 not labelled, 1 occluded, 2 visible), in COCO's order; and ``name``, as `load_video` has it.
    """
    folder = resolve_dataset_dir(dataset_dir)
    source = find_split(split, None if root is None else find_root(root, folder))
    videos = read_split(source)
    numbers = select(len(videos), split, index)
    source_hash = hash_files(path for video in videos for path in (video.path, video.annotation))
    records = TfdsSplit("walkers", source.name, source_hash, folder)
    _prepare(records, videos)
    names = [f"walkers/{printable(source.name)}/{number}" for number in range(len(videos))]
    options = ReadOptions(numbers, epochs, shuffle_files, max_frames)
    return records.read(options, _make_labels, videos[0].frame_rate, names)


def find_split(split: str, root: Path | None = None) -> Path:
    """The folder of a split, named by an expression such as ``dev[0:5]``, under ``root`` or, for None, in the package.

    Raises:
        InvalidValueError: For an unknown split, or several.
    """
    root = root or SPLITS
    return root / single_split(split, [path.name for path in list_folder(root) if any(path.glob("*.mp4"))])


def _prepare(records: TfdsSplit, videos: Sequence[WalkerVideo]) -> None:
    import tensorflow_datasets as tfds

    features = {
        "gs_coords": tfds.features.Tensor(shape=(None, 4, 2), dtype=np.int64),
        "keypoints": tfds.features.Tensor(shape=(None, 17, 3), dtype=np.float32),
        "masks": tfds.features.Video((None, None, None, 1), encoding_format="png"),
    }
    records.prepare(_examples(videos), len(videos), features)


def _examples(videos: Sequence[WalkerVideo]) -> Iterator[dict[str, Any]]:
    for video in videos:
        yield {
            "video": [encode_png(frame) for frame in video.read_frames()],
            "labels": {
                "boxes": video.boxes_xyxy,
                "gs_coords": video.gs_coords,
                "keypoints": video.keypoints,
                "masks": [encode_png(mask) for mask in video.decode_masks()],
            },
        }


def _make_labels(height: int, width: int, columns: Columns) -> tuple[NDArray[np.float32], dict[str, Any]]:
    metadata = {
        "gs_coords": columns["gs_coords"],
        "keypoints": columns["keypoints"],
        "masks": np.repeat(columns["masks"], 3, axis=-1),  # ARMORY's masks have a channel per colour
    }
    return columns["boxes"], metadata
