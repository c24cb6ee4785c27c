"""``walkers``: people in a rendered town, split by split as H.264 videos with their annotations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.options import check_options, find_root, resolve_dataset_dir, single_split
from armory_skelevision.datasets.records import Columns, Records, encode_png, open_records, prepare_records
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split

SPLITS = Path(__file__).parent / "walker_splits"
"""The splits that travel with the package."""


def walkers(
    split: str = "dev",
    epochs: int = 1,
    batch_size: int = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: str = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] | None = None,
    max_frames: int | None = None,
    **unknown: object,
) -> Any:
    """Videos of the rendered town: one person to track, others about, and a green screen that the person passes.

    A split is prepared on first use, its frames stored losslessly under ``<dataset_dir>/walkers``; other videos are
    prepared anew.

    Args:
        split: ``dev`` (20 videos), ``mini`` (3), another folder under ``root``, or a slice of one (``dev[0:5]``).
        epochs: Passes over the data.
        batch_size: 1.
        dataset_dir: Folder of prepared data; None for ARMORY's.
        framework: ``numpy``.
        shuffle_files: Whether the order is random.
        index: ARMORY's choice of videos: numbers, or a slice as text.
        root: Folder with a folder for each split, absolute, or relative to the working directory or to
            ``dataset_dir``. None for the splits of the package.
        max_frames: Frames kept of each video; None for all.
        unknown: Refused, with the known options named.

    Returns:
        ``ArmoryDataGenerator``. Boxes float32; metadata ``gs_coords``, ``masks`` and ``keypoints`` (F, 17, 3) float32:
        x, y, visibility (0 not labelled, 1 occluded, 2 visible), in COCO's order.

    Raises:
        FileNotFoundError: If the root is missing.
        ValueError: If an option, a video or an annotation is not as expected.
        TypeError: For an unknown option.
    """
    check_options(walkers, unknown, batch_size=batch_size, epochs=epochs, framework=framework, max_frames=max_frames)
    folder = resolve_dataset_dir(dataset_dir)
    source = SPLITS if root is None else find_root(root, folder)
    available = sorted(path.name for path in source.iterdir() if any(path.glob("*.mp4"))) if source.is_dir() else []
    name = single_split(walkers, split, available)
    videos = read_split(source / name)
    records = Records("walkers", f"{name}-{_hash_videos(videos)}", name, folder)
    _prepare(records, videos)
    return open_records(
        records,
        _describe,
        split=split,
        epochs=epochs,
        frame_rate=videos[0].frame_rate,
        index=index,
        max_frames=max_frames,
        shuffle_files=shuffle_files,
    )


def _prepare(records: Records, videos: Sequence[WalkerVideo]) -> None:
    if records.is_prepared():
        return
    import tensorflow_datasets as tfds

    features = {
        "boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        "gs_coords": tfds.features.Tensor(shape=(None, 4, 2), dtype=np.int64),
        "keypoints": tfds.features.Tensor(shape=(None, 17, 3), dtype=np.float32),
        "masks": tfds.features.Video((None, None, None, 1), encoding_format="png"),
    }
    prepare_records(records, features, _examples(videos), len(videos))


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


def _hash_videos(videos: Sequence[WalkerVideo]) -> str:
    digest = hashlib.sha256()
    for video in videos:
        for path in (video.path, video.annotation):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _describe(height: int, width: int, columns: Columns) -> tuple[NDArray[np.float32], dict[str, Any]]:
    metadata = {
        "gs_coords": columns["gs_coords"],
        "keypoints": columns["keypoints"],
        "masks": np.repeat(columns["masks"], 3, axis=-1),  # ARMORY's masks have one channel for each colour
    }
    return columns["boxes"], metadata
