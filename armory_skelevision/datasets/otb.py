"""``otb_person``: persons of the Object Tracking Benchmark (OTB2015), or own videos laid out alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets import otb_sequences
from armory_skelevision.datasets.options import check_options, find_root, resolve_dataset_dir, single_split
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.records import Columns, Records, encode_png, open_records, prepare_records

FRAME_RATE = 30.0
"""OTB states none; most of its videos are ordinary camera footage."""


def otb_person(
    split: str = "test",
    epochs: int = 1,
    batch_size: int = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: str = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    root: str | os.PathLike[str] = "otb",
    names: Sequence[str] | Literal["paper"] | None = None,
    max_frames: int | None = 100,
    **unknown: object,
) -> Any:
    """Persons of OTB2015 with the patch of the SkeleVision paper laid over them.

    The sequences are prepared on first use: their first ``max_frames`` frames are stored, losslessly, under
    ``<dataset_dir>/otb_person``. Other sequences or other frames are prepared anew.

    Args:
        split: ``test``, or a slice of it (``test[0:5]``).
        epochs: Passes over the data.
        batch_size: 1.
        dataset_dir: Folder of prepared data; None for ARMORY's.
        framework: ``numpy``.
        shuffle_files: Whether the order is random.
        index: ARMORY's choice of videos: numbers, or a slice as text.
        root: Folder with a folder for each sequence (``img/*.jpg``, ``groundtruth_rect.txt``), absolute, or relative
            to the working directory or to ``dataset_dir``.
        names: Sequences to take, all of which must be there; ``paper`` names the 38 of the paper's OTB2015-Person.
            None takes every sequence under ``root`` but those of OTB2015 that the paper does not count as persons.
        max_frames: Frames kept of each video; None for all.
        unknown: Refused, with the known options named.

    Returns:
        ``ArmoryDataGenerator``. Boxes float32; metadata ``gs_coords``, ``masks`` and ``shading`` (False).

    Raises:
        FileNotFoundError: If root, sequences or named ones are missing.
        ValueError: If an option or a sequence is not as expected.
        TypeError: For an unknown option.
    """
    check_options(otb_person, unknown, batch_size=batch_size, epochs=epochs, framework=framework, max_frames=max_frames)
    name = single_split(otb_person, split, ["test"])
    folder = resolve_dataset_dir(dataset_dir)
    sequences = otb_sequences.find_sequences(_find_otb(root, folder), _list_names(names))
    records = Records("otb_person", f"{name}-{_hash_sequences(sequences, max_frames)}", name, folder)
    _prepare(records, sequences, max_frames)
    return open_records(
        records,
        _describe,
        split=split,
        epochs=epochs,
        frame_rate=FRAME_RATE,
        index=index,
        max_frames=max_frames,
        shuffle_files=shuffle_files,
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) RGB.

    Raises:
        ValueError: If the file is damaged or no image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: expected a whole JPEG or PNG image ({error})") from None


def _list_names(names: Sequence[str] | None) -> list[str] | None:
    if isinstance(names, str) and names != "paper":
        raise ValueError(f"otb_person: names: expected a list of sequence names, 'paper' or null, got {names!r}")
    if names == "paper":
        return sorted(PERSON_FOLDERS)
    return None if names is None else list(names)


def _find_otb(root: str | os.PathLike[str], dataset_dir: Path) -> Path:
    try:
        return find_root(root, dataset_dir)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"otb_person: {error}. Unpack OTB sequences there (a folder for each, with img/ and groundtruth_rect.txt), "
            'or give "root" in the config\'s "dataset". OTB2015 has to be downloaded by hand; it states no licence'
        ) from None


def _prepare(records: Records, sequences: Sequence[otb_sequences.Sequence], max_frames: int | None) -> None:
    if records.is_prepared():
        return
    import tensorflow_datasets as tfds

    features = {"boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32)}
    prepare_records(records, features, _examples(sequences, max_frames), len(sequences))


def _examples(sequences: Sequence[otb_sequences.Sequence], max_frames: int | None) -> Iterator[dict[str, Any]]:
    for sequence in sequences:
        frames = _encode_frames(sequence, max_frames)
        yield {"video": frames, "labels": {"boxes": sequence.boxes_xyxy[:max_frames]}}


def _encode_frames(sequence: otb_sequences.Sequence, max_frames: int | None) -> list[bytes]:
    frames: list[bytes] = []
    shape: tuple[int, ...] | None = None
    for path in sequence.images[:max_frames]:
        image = read_image(path)
        shape = shape or image.shape
        if image.shape != shape:
            raise ValueError(
                f"{path} is {image.shape[1]}×{image.shape[0]}: expected the size of the sequence's first image, "
                f"{shape[1]}×{shape[0]}"
            )
        frames.append(encode_png(image))
    return frames


def _hash_sequences(sequences: Sequence[otb_sequences.Sequence], max_frames: int | None) -> str:
    digest = hashlib.sha256(repr(max_frames).encode())
    for sequence in sequences:
        digest.update(sequence.name.encode() + sequence.truth.read_bytes())
        for path in sequence.images[:max_frames]:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _describe(height: int, width: int, columns: Columns) -> tuple[NDArray[np.float32], dict[str, Any]]:
    boxes_xyxy = columns["boxes"]
    return boxes_xyxy, place_patch(boxes_xyxy, height, width)
