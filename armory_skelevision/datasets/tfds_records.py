"""Videos as TFDS records: prepared once on first use, then read through ARMORY's own generator.

TFDS stores a data set as ``<dataset_dir>/<name>/<config>/<version>/``. It writes into a temporary folder and renames
it, so no incomplete data set is left. The config's name contains a hash of the source, so changed data are prepared
again, beside the old ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

VERSION = "1.0.0"
"""Version of the records' layout; raise it when the features of a data set change."""

_SHUFFLE_BUFFER = 10  # videos

Columns: TypeAlias = Mapping[str, NDArray[Any]]
ArmoryLabels: TypeAlias = tuple[list[dict[str, NDArray[Any]]], dict[str, Any]]
MakeLabels: TypeAlias = Callable[[int, int, Columns], tuple[NDArray[np.float32], dict[str, Any]]]
"""``(height, width, columns of one video) -> (boxes_xyxy (F, 4), patch metadata)``."""


@dataclass(frozen=True)
class TfdsSplit:
    """One split of a data set, as TFDS stores it.

    Attributes:
        name: Name of the data set.
        split: Name of the split.
        source_hash: Hash of what the records are made from.
        dataset_dir: Folder of prepared data.
    """

    name: str
    split: str
    source_hash: str
    dataset_dir: Path

    @property
    def config(self) -> str:
        """TFDS's name of this version of the split."""
        return f"{self.split}-{self.source_hash}"

    @property
    def folder(self) -> Path:
        """Folder of the records."""
        return self.dataset_dir / self.name / self.config / VERSION

    def is_prepared(self) -> bool:
        """Whether the records exist, completely."""
        return (self.folder / "dataset_info.json").is_file()


def hash_files(paths: Iterable[Path], *options: object) -> str:
    """A short hash of the names and contents of files, and of options that decide what is stored of them."""
    digest = hashlib.sha256("".join(map(repr, options)).encode())
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def prepare_records(
    records: TfdsSplit, examples: Iterable[Mapping[str, Any]], count: int, features: Mapping[str, Any]
) -> None:
    """Store examples in their order, unless they are stored already. Shows its progress on a terminal.

    Args:
        records: Where to store them.
        examples: ``{"video": PNG bytes per frame, "labels": {"boxes": (F, 4) float32, …}}``.
        count: Number of examples, for the progress bar.
        features: TFDS feature of each further label.

    Raises:
        OSError: If the folder cannot be written. Errors of ``examples`` pass through; nothing is left behind.
    """
    if records.is_prepared():
        return
    import tensorflow_datasets as tfds
    from tqdm import tqdm

    video = tfds.features.Video((None, None, None, 3), encoding_format="png")
    labels = {"boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32), **features}
    bar = tqdm(examples, desc=f"Preparing {records.name} {records.split}", total=count, unit="video", disable=None)
    try:
        with bar, _silent_tfds():
            tfds.dataset_builders.store_as_tfds_dataset(
                name=records.name,
                version=VERSION,
                config=records.config,
                data_dir=records.dataset_dir,
                features=tfds.features.FeaturesDict({"video": video, "labels": labels}),
                split_datasets={records.split: enumerate(bar)},
                disable_shuffling=True,
            )
    except (OSError, RuntimeError):
        # Another process may have prepared the same data at the same time.
        if not records.is_prepared():
            raise


def open_records(
    records: TfdsSplit,
    make_labels: MakeLabels,
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
        make_labels: Makes boxes and patch metadata from a video's size and columns, cut to ``max_frames``.
        split: The split expression, slices included.
        epochs: Passes over the data.
        frame_rate: Frames per second.
        index: ARMORY's choice of videos: a list of numbers, a slice as text, or None for all.
        max_frames: Frames kept of each video; None keeps all.
        shuffle_files: Whether the order is random.

    Returns:
        ``ArmoryDataGenerator``: x (1, F, H, W, 3) float32 in [0, 1], labels ``([{"boxes"}], metadata)``.
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
        videos = videos.shuffle(_SHUFFLE_BUFFER, reshuffle_each_iteration=True)
    videos = videos.map(lambda video: (video["video"], video["labels"])).batch(1).prefetch(1)
    context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=frame_rate)
    clip = None if max_frames is None else datasets.ClipFrames(max_frames)

    def label_video(x: NDArray[np.uint8], y: Columns) -> ArmoryLabels:
        columns = {key: values[0][:max_frames] for key, values in y.items()}
        boxes_xyxy, metadata = make_labels(x.shape[2], x.shape[3], columns)
        return [{"boxes": boxes_xyxy}], metadata

    return datasets.ArmoryDataGenerator(
        iter(tfds.as_numpy(_without_autotuning(videos))),
        size=count,
        batch_size=1,
        epochs=epochs,
        preprocessing_fn=datasets.preprocessing_chain(
            clip, lambda batch: datasets.canonical_variable_image_preprocess(context, batch)
        ),
        label_preprocessing_fn=label_video,
        context=context,
    )


def _without_autotuning(videos: Any) -> Any:
    """The data set without TensorFlow's autotuning.

    The tuning thread now and then misses the call to end. Whatever waits for it, above all the end of the process, is
    then held up for as much as a minute.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return videos.with_options(options)


@contextlib.contextmanager
def _silent_tfds() -> Iterator[None]:
    # TFDS shows four progress bars of its own, even without a terminal, announces a download where there is none, and
    # warns that the data that it is about to prepare do not exist yet.
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
