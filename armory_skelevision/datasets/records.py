"""Videos as TFDS records: prepared once on first use, then read through ARMORY's own generator.

A data set is stored as ``<dataset_dir>/<name>/<config>/<version>/`` by TFDS, which writes into a temporary folder and
renames it, so that it is there whole or not at all. The config's name carries a hash of the source: changed data
are prepared anew beside the old.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

VERSION = "1.0.0"
"""Version of the records' layout; raise it when the features of a data set change."""

_SHUFFLED = 10  # videos that are held to draw the next one from

Columns: TypeAlias = Mapping[str, NDArray[Any]]
Labels: TypeAlias = tuple[list[dict[str, NDArray[Any]]], dict[str, Any]]
Describe: TypeAlias = Callable[[int, int, Columns], tuple[NDArray[np.float32], dict[str, Any]]]
"""``(height, width, columns of one video) -> (boxes_xyxy (F, 4), patch metadata)``."""


@dataclass(frozen=True)
class Records:
    """One split of a data set, as TFDS stores it.

    Attributes:
        name: The data set, a folder name.
        config: The split and a hash of the source, a folder name.
        split: The split.
        dataset_dir: The folder of prepared data.
    """

    name: str
    config: str
    split: str
    dataset_dir: Path

    @property
    def folder(self) -> Path:
        """Where the records lie."""
        return self.dataset_dir / self.name / self.config / VERSION

    def is_prepared(self) -> bool:
        """Whether the records are there, whole."""
        return (self.folder / "dataset_info.json").is_file()


def prepare_records(
    records: Records, features: Mapping[str, Any], examples: Iterable[Mapping[str, Any]], count: int
) -> None:
    """Store examples in their order, unless they are there already. Shows its progress on a terminal.

    Args:
        records: What to store, and where.
        features: TFDS feature per label, beside ``video``.
        examples: ``{"video": PNG bytes per frame, "labels": {...}}``.
        count: How many examples there are, for the progress bar.

    Raises:
        OSError: If the folder cannot be written. What ``examples`` raises passes through; nothing is left behind.
    """
    if records.is_prepared():
        return
    import tensorflow_datasets as tfds
    from tqdm import tqdm

    shape = (None, None, None, 3)
    bar = tqdm(examples, desc=f"Preparing {records.name} {records.split}", total=count, unit="video", disable=None)
    try:
        with bar, _silent_tfds():
            tfds.dataset_builders.store_as_tfds_dataset(
                name=records.name,
                version=VERSION,
                config=records.config,
                data_dir=records.dataset_dir,
                features=tfds.features.FeaturesDict(
                    {"video": tfds.features.Video(shape, encoding_format="png"), "labels": dict(features)}
                ),
                split_datasets={records.split: enumerate(bar)},
                disable_shuffling=True,
            )
    except (OSError, RuntimeError):
        # Another process may have prepared the same data at the same time.
        if not records.is_prepared():
            raise


def open_records(
    records: Records,
    describe: Describe,
    *,
    split: str,
    epochs: int,
    frame_rate: float,
    index: list[int] | str | None,
    max_frames: int | None,
    shuffle_files: bool,
) -> Any:
    """ARMORY's generator over prepared records.

    Args:
        records: What to read.
        describe: Makes boxes and patch metadata of a video's size and columns, both already cut to ``max_frames``.
        split: The split expression, slices included.
        epochs: Passes over the data.
        frame_rate: Frames per second, for the context.
        index: ARMORY's choice of videos: a list of numbers, a slice as text, or None for all.
        max_frames: Frames kept of each video, or None.
        shuffle_files: Whether the order is random.

    Returns:
        An ``ArmoryDataGenerator``.
    """
    import tensorflow_datasets as tfds
    from armory.data import datasets

    split = datasets.parse_split_index(split)  # dev[3] as dev[3:4]
    builder = tfds.builder_from_directory(records.folder)
    videos = builder.as_dataset(split=split, shuffle_files=shuffle_files)
    count = builder.info.splits[split].num_examples
    if isinstance(index, list):
        videos, count = datasets.filter_by_index(videos, index, count)
    elif index is not None:
        videos, count = datasets.filter_by_str_slice(videos, index, count)
    videos = videos.repeat(epochs)
    if shuffle_files:
        videos = videos.shuffle(_SHUFFLED, reshuffle_each_iteration=True)
    videos = videos.map(lambda video: (video["video"], video["labels"])).batch(1).prefetch(1)
    context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=frame_rate)
    clip = None if max_frames is None else datasets.ClipFrames(max_frames)

    def label(x: NDArray[np.uint8], y: Columns) -> Labels:
        columns = {key: values[0][:max_frames] for key, values in y.items()}
        boxes_xyxy, metadata = describe(x.shape[2], x.shape[3], columns)
        return [{"boxes": boxes_xyxy}], metadata

    return datasets.ArmoryDataGenerator(
        iter(tfds.as_numpy(_without_tuning(videos))),
        size=count,
        batch_size=1,
        epochs=epochs,
        preprocessing_fn=datasets.preprocessing_chain(
            clip, lambda batch: datasets.canonical_variable_image_preprocess(context, batch)
        ),
        label_preprocessing_fn=label,
        context=context,
    )


def _without_tuning(videos: Any) -> Any:
    """A data set whose iterator ends at once.

    The thread by which TensorFlow tunes a pipeline misses the call to end now and then, and whoever waits for it, the
    process's own end above all, waits until it looks again: up to a minute.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return videos.with_options(options)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Compress an image (H, W, 3) RGB, or (H, W), without loss."""
    import cv2

    # Level 1 is three times as fast as the default, for a tenth more bytes.
    done, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"expected an image (H, W, 3) or (H, W) of uint8, got {image.shape} of {image.dtype}")
    return bytes(data)


@contextlib.contextmanager
def _silent_tfds() -> Iterator[None]:
    # TFDS has four bars of its own, off the terminal too, announces a download where there is none, and warns that
    # what it is about to prepare is not there yet.
    from absl import logging
    from tensorflow_datasets.core.utils import tqdm_utils

    shown, verbosity = tqdm_utils._active, logging.get_verbosity()
    tqdm_utils.display_progress_bar(False)
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm_utils.display_progress_bar(shown)
        logging.set_verbosity(verbosity)
