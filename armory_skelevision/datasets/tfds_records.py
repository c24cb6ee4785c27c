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

Columns: TypeAlias = Mapping[str, NDArray[Any]]
MakeLabels: TypeAlias = Callable[[int, int, Columns], tuple[NDArray[np.float32], dict[str, Any]]]
"""``(height, width, columns of one video) -> (boxes_xyxy (F, 4), patch metadata)``."""


@dataclass(frozen=True)
class ReadOptions:
    """What ARMORY's options, as the package documents them, select from a prepared split."""

    split: str
    epochs: int
    index: list[int] | str | None
    shuffle_files: bool
    max_frames: int | None


def hash_files(paths: Iterable[Path], *options: object) -> str:
    """A short hash of the names and contents of files, and of options that decide what is stored of them."""
    digest = hashlib.sha256("".join(map(repr, options)).encode())
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class TfdsSplit:
    """One split of a data set, as TFDS stores it in the folder of prepared data.

    Attributes:
        name: Name of the data set.
        split: Name of the split.
        source_hash: Hash of what the records are made from; see `hash_files`.
        dataset_dir: Folder of prepared data.
    """

    name: str
    split: str
    source_hash: str
    dataset_dir: Path

    @property
    def folder(self) -> Path:
        """Folder of the records, below that of TFDS's config."""
        return self.dataset_dir / self.name / f"{self.split}-{self.source_hash}" / VERSION

    def is_prepared(self) -> bool:
        """Whether the records exist, completely."""
        return (self.folder / "dataset_info.json").is_file()

    def prepare(self, examples: Iterable[Mapping[str, Any]], count: int, features: Mapping[str, Any]) -> None:
        """Store examples in their order, unless they are stored already. Shows its progress on a terminal.

        Args:
            examples: ``{"video": PNG bytes per frame, "labels": {"boxes": (F, 4) float32, …}}``.
            count: Number of examples, for the progress bar.
            features: TFDS feature of each further label.

        Raises:
            OSError: If the folder cannot be written. Errors of ``examples`` pass through; nothing is left behind.
        """
        if self.is_prepared():
            return
        import tensorflow_datasets as tfds
        from tqdm import tqdm

        video = tfds.features.Video((None, None, None, 3), encoding_format="png")
        labels = {"boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32), **features}
        bar = tqdm(examples, desc=f"Preparing {self.name} {self.split}", total=count, unit="video", disable=None)
        try:
            with bar, _silent_tfds():
                tfds.dataset_builders.store_as_tfds_dataset(
                    name=self.name,
                    version=VERSION,
                    config=self.folder.parent.name,
                    data_dir=self.dataset_dir,
                    features=tfds.features.FeaturesDict({"video": video, "labels": labels}),
                    split_datasets={self.split: enumerate(bar)},
                    disable_shuffling=True,
                )
        except (OSError, RuntimeError):
            # Another process may have prepared the same data at the same time.
            if not self.is_prepared():
                raise

    def read(self, options: ReadOptions, make_labels: MakeLabels, frame_rate: float) -> Any:
        """ARMORY's generator over the prepared records.

        Args:
            options: Which videos, how often, and how many frames of each.
            make_labels: Makes boxes and patch metadata from a video's size and columns, cut to ``max_frames``.
            frame_rate: Frames per second.

        Returns:
            ``ArmoryDataGenerator``: x (1, F, H, W, 3) float32 in [0, 1], labels ``([{"boxes"}], metadata)``.
        """
        import tensorflow_datasets as tfds
        from armory.data import datasets

        split = datasets.parse_split_index(options.split)  # dev[3] as dev[3:4]
        builder = tfds.builder_from_directory(self.folder)
        videos = builder.as_dataset(split=split, shuffle_files=options.shuffle_files)
        count = builder.info.splits[split].num_examples
        if isinstance(options.index, list):
            videos, count = datasets.filter_by_index(videos, options.index, count)
        elif options.index is not None:
            videos, count = datasets.filter_by_str_slice(videos, options.index, count)
        videos = videos.repeat(options.epochs)
        if options.shuffle_files:
            videos = videos.shuffle(buffer_size=10, reshuffle_each_iteration=True)
        videos = videos.map(lambda video: (video["video"], video["labels"])).batch(1).prefetch(1)
        context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=frame_rate)
        clip = None if options.max_frames is None else datasets.ClipFrames(options.max_frames)

        def label_video(x: NDArray[np.uint8], y: Columns) -> tuple[list[dict[str, NDArray[Any]]], dict[str, Any]]:
            columns = {key: values[0][: options.max_frames] for key, values in y.items()}
            boxes_xyxy, metadata = make_labels(x.shape[2], x.shape[3], columns)
            return [{"boxes": boxes_xyxy}], metadata

        return datasets.ArmoryDataGenerator(
            iter(tfds.as_numpy(_without_autotuning(videos))),
            size=count,
            batch_size=1,
            epochs=options.epochs,
            preprocessing_fn=datasets.preprocessing_chain(
                clip, lambda batch: datasets.canonical_variable_image_preprocess(context, batch)
            ),
            label_preprocessing_fn=label_video,
            context=context,
        )


def _without_autotuning(videos: Any) -> Any:
    """The data set without TensorFlow's autotuning.

    Its thread now and then misses the call to end, which holds up the end of the process by as much as a minute.
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
