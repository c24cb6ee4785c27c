"""Videos as TFDS records: prepared once on first use, then read through ARMORY's own generator.

TFDS stores a data set as ``<dataset_dir>/<name>/<config>/<version>/``. It writes into a temporary folder and renames
it, so no incomplete data set is left. The config's name contains a hash of the source, so changed data are prepared
again, beside the old ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import printable, progress, read_bytes
from armory_skelevision.validation import InvalidValueError

VERSION = "1.0.0"
"""Version of the records' layout; raise it when the features of a data set change."""

MAX_FILE_BYTES = 2**31
"""Size of a file that records are made from."""

Columns: TypeAlias = Mapping[str, NDArray[Any]]
MakeLabels: TypeAlias = Callable[[int, int, Columns], tuple[NDArray[np.float32], dict[str, Any]]]
"""``(height, width, columns of one video) -> (boxes_xyxy (F, 4), patch metadata)``."""


@dataclass(frozen=True)
class ReadOptions:
    """What ARMORY's options, as the package documents them, select from a prepared split.

    Attributes:
        numbers: The videos, by their numbers in the split; see `selection.select`.
        epochs: How often they are read.
        shuffle_files: Whether each time in another random order, the same in every run; otherwise in ascending order.
        max_frames: Frames kept of each video; None keeps all.
    """

    numbers: Sequence[int]
    epochs: int = 1
    shuffle_files: bool = False
    max_frames: int | None = None

    def order(self) -> list[int]:
        """The numbers of the videos, one after the other, over all epochs."""
        rng = np.random.default_rng(0)
        numbers = [rng.permutation(self.numbers) if self.shuffle_files else self.numbers for _ in range(self.epochs)]
        return [int(number) for epoch in numbers for number in epoch]


def hash_files(paths: Iterable[Path], *options: object) -> str:
    """A short hash of the names and contents of files, and of options that decide what is stored of them.

    Raises:
        MissingFileError: If one is missing.
        InvalidValueError: If one is no regular file, or larger than `MAX_FILE_BYTES`.
    """
    digest = hashlib.sha256("".join(map(repr, options)).encode())
    for path in paths:
        digest.update(os.fsencode(path.name) + read_bytes(path, MAX_FILE_BYTES))
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
        return self.dataset_dir / self.name / f"{self._tfds_name}-{self.source_hash}" / VERSION

    @property
    def _tfds_name(self) -> str:
        """The split's name, or another one if TFDS could not read it: it has few characters, and its own "all"."""
        return self.split if re.fullmatch(r"[A-Za-z0-9_-]+", self.split) and self.split != "all" else "videos"

    def is_prepared(self) -> bool:
        """Whether the records exist, completely."""
        return (self.folder / "dataset_info.json").is_file() and any(self.folder.glob("*.tfrecord*"))

    def prepare(self, examples: Iterable[Mapping[str, Any]], count: int, features: Mapping[str, Any]) -> None:
        """Store examples in their order, unless they are stored already. Shows its progress on a terminal.

        Args:
            examples: ``{"video": PNG bytes per frame, "labels": {"boxes": (F, 4) float32, …}}``.
            count: Number of examples, for the progress bar.
            features: TFDS feature of each further label.

        Raises:
            InvalidValueError: If the folder of the records is incomplete, or that of prepared data read-only.
            OSError: If the disk is full. Errors of ``examples`` pass through; nothing is left behind.
        """
        if self.is_prepared():
            return
        if self.folder.exists():
            raise InvalidValueError(printable(self.folder), "all records", "an incomplete folder", "delete it")
        if not os.access(self.dataset_dir, os.W_OK):
            got = f"{printable(self.dataset_dir)}, which is read-only and has no records of these videos"
            raise InvalidValueError("dataset_dir", "a folder that can be written", got, "give another dataset_dir")
        import tensorflow_datasets as tfds

        video = tfds.features.Video((None, None, None, 3), encoding_format="png")
        labels = {"boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32), **features}
        title = f"Preparing {self.name} {printable(self.split)}"
        bar = progress(examples, title, total=count, unit="video", leave=True)
        try:
            with bar, _silent_tfds():
                tfds.dataset_builders.store_as_tfds_dataset(
                    name=self.name,
                    version=VERSION,
                    config=self.folder.parent.name,
                    data_dir=self.dataset_dir,
                    features=tfds.features.FeaturesDict({"video": video, "labels": labels}),
                    split_datasets={self._tfds_name: enumerate(bar)},
                    disable_shuffling=True,
                )
        except (OSError, RuntimeError):
            # Another process may have prepared the same data at the same time.
            if not self.is_prepared():
                raise
        finally:
            for name in ("downloads/extracted", "downloads"):  # TFDS makes them for downloads, of which there are none
                with contextlib.suppress(OSError):
                    (self.dataset_dir / name).rmdir()

    def read(self, options: ReadOptions, make_labels: MakeLabels, frame_rate: float, names: Sequence[str]) -> Any:
        """ARMORY's generator over the prepared records.

        Args:
            options: Which videos, how often, and how many frames of each.
            make_labels: Makes boxes and patch metadata from a video's size and columns, cut to ``max_frames``.
            frame_rate: Frames per second.
            names: The name of each video of the split, for ``metadata["name"]``.

        Returns:
            ``ArmoryDataGenerator``: x (1, F, H, W, 3) float32 in [0, 1], labels ``([{"boxes"}], metadata)``.
        """
        from armory.data import datasets

        context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=frame_rate)
        clip = None if options.max_frames is None else datasets.ClipFrames(options.max_frames)

        def label_video(x: NDArray[np.uint8], y: tuple[int, Columns]) -> tuple[list[Columns], dict[str, Any]]:
            number, labels = y
            columns = {key: values[0][: options.max_frames] for key, values in labels.items()}
            boxes_xyxy, metadata = make_labels(x.shape[2], x.shape[3], columns)
            return [{"boxes": boxes_xyxy}], {**metadata, "name": names[number]}

        return datasets.ArmoryDataGenerator(
            self._videos(options.order()),
            size=len(options.numbers),
            batch_size=1,
            epochs=options.epochs,
            preprocessing_fn=datasets.preprocessing_chain(
                clip, lambda batch: datasets.canonical_variable_image_preprocess(context, batch)
            ),
            label_preprocessing_fn=label_video,
            context=context,
        )

    def _videos(self, order: Sequence[int]) -> Iterator[tuple[NDArray[np.uint8], tuple[int, Columns]]]:
        """Videos in the order of their numbers, each as a batch, with the number and the stored labels."""
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(self.folder)
        for run in find_runs(order):
            videos = builder.as_dataset(split=f"{self._tfds_name}[{run.start}:{run.stop}]").batch(1).prefetch(1)
            for number, batch in zip(run, tfds.as_numpy(_without_autotuning(videos)), strict=True):
                yield batch["video"], (number, batch["labels"])


def find_runs(order: Sequence[int]) -> list[range]:
    """Numbers as runs of consecutive ones, each of which TFDS reads as one slice."""
    runs: list[range] = []
    for number in order:
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


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
    # TFDS shows four progress bars of its own, even without a terminal, announces a download where there is none,
    # warns that the data that it is about to prepare do not exist yet, and asks its server about them, for which it
    # leaves an empty temporary folder behind.
    import tensorflow_datasets as tfds
    from absl import logging
    from tensorflow_datasets.core.utils import tqdm_utils

    shown, verbosity = tqdm_utils._active, logging.get_verbosity()
    ask = tfds.core.DatasetInfo.initialize_from_bucket
    tfds.core.DatasetInfo.initialize_from_bucket = lambda _: None
    tqdm_utils.display_progress_bar(False)
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.core.DatasetInfo.initialize_from_bucket = ask
        tqdm_utils.display_progress_bar(shown)
        logging.set_verbosity(verbosity)
