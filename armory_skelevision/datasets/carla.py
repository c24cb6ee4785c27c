"""``carla_video_tracking``: ARMORY's own CARLA street videos, with an early word where they are missing."""

from __future__ import annotations

import os
import shlex
import threading
from pathlib import Path
from typing import Any

from armory_skelevision.datasets.options import check_options, resolve_dataset_dir, single_split

VERSION = "2.0.0"
CONNECT_TIMEOUT = 5.0
"""Seconds that the download's host has to answer."""


def carla_video_tracking(
    split: str = "dev",
    epochs: int = 1,
    batch_size: int = 1,
    dataset_dir: str | os.PathLike[str] | None = None,
    framework: str = "numpy",
    shuffle_files: bool = False,
    index: list[int] | str | None = None,
    max_frames: int | None = None,
    **unknown: object,
) -> Any:
    """ARMORY's ``carla_video_tracking_dev`` or ``_test``: 960×1280, a green screen, one pedestrian to track.

    Prepared data are read from ``<dataset_dir>/carla_video_tracking_<split>/2.0.0``. Where they are missing ARMORY
    downloads them, if their host can be reached.

    Args:
        split: ``dev`` or ``test``, or a slice of one (``dev[0:5]``).
        epochs: Passes over the data.
        batch_size: 1.
        dataset_dir: Folder of prepared data; None for ARMORY's.
        framework: ``numpy``.
        shuffle_files: Whether the order is random.
        index: ARMORY's choice of videos: numbers, or a slice as text.
        max_frames: Frames kept of each video; None for all.
        unknown: Refused, with the known options named.

    Returns:
        ``ArmoryDataGenerator``. Boxes int64; metadata ``gs_coords`` and ``masks``.

    Raises:
        FileNotFoundError: If the data are neither there nor to be had; says what goes where.
        ValueError: If an option is not as expected.
        TypeError: For an unknown option.
    """
    check_options(
        carla_video_tracking, unknown, batch_size=batch_size, epochs=epochs, framework=framework, max_frames=max_frames
    )
    name = single_split(carla_video_tracking, split, ["dev", "test"])
    folder = resolve_dataset_dir(dataset_dir)
    require_data(name, folder)
    from armory.data import adversarial_datasets, datasets

    return getattr(adversarial_datasets, f"carla_video_tracking_{name}")(
        split=datasets.parse_split_index(split),
        epochs=epochs,
        dataset_dir=str(folder),
        framework=framework,
        shuffle_files=shuffle_files,
        index=index,
        max_frames=max_frames,
    )


def require_data(split: str, dataset_dir: Path) -> None:
    """Return if ARMORY will find the split's data: prepared, as a downloaded archive, or at their host.

    ARMORY's own attempt has no time-out, and ends in errors of TFDS and urllib that do not say what to do.

    Raises:
        FileNotFoundError: If the data are not to be had.
    """
    name = f"carla_video_tracking_{split}"
    prepared = dataset_dir / name / VERSION
    if (prepared / "dataset_info.json").is_file() and any(prepared.glob("*.tfrecord*")):
        return
    url, size = _archive(name)
    archive = dataset_dir / "cache" / url.rsplit("/", maxsplit=1)[-1]
    if prepared.is_dir():
        problem = f"{prepared} is there but lacks dataset_info.json or its .tfrecord files: delete it first"
    elif archive.is_file() and archive.stat().st_size == size:
        return
    else:
        answer = _reach(url)
        if answer is None:
            return
        problem = f"there is no {prepared / 'dataset_info.json'}, and the download cannot be reached ({answer})"
    raise FileNotFoundError(
        f"the CARLA videos of split {split!r} are missing: {problem}. "
        f"On a machine with network run `curl -LO {url}` ({size / 1e9:.1f} GB), bring the archive here and run "
        f"`tar -xzf {archive.name} -C {shlex.quote(str(dataset_dir))}`; that makes {prepared}. "
        f"(In Docker /armory/datasets is the dataset_dir of `armory configure`.)"
    )


def _archive(name: str) -> tuple[str, int]:
    # The line that ARMORY itself downloads by: bucket, key, size in bytes, hash.
    from armory.data import datasets

    line = Path(datasets.CACHED_CHECKSUMS_DIR, f"{name}.txt").read_text(encoding="utf-8")
    bucket, key, size, _ = line.split()
    return f"https://{bucket}.s3.us-east-2.amazonaws.com/{key}", int(size)


def _reach(url: str) -> str | None:
    """Why a URL cannot be fetched, or None if it can."""
    answers: list[str | None] = []
    # A thread, since looking up the host's name has no time-out of its own.
    thread = threading.Thread(target=lambda: answers.append(_ask(url)), daemon=True)
    thread.start()
    thread.join(2 * CONNECT_TIMEOUT)
    return answers[0] if answers else f"no answer in {2 * CONNECT_TIMEOUT:.0f} s"


def _ask(url: str) -> str | None:
    import requests
    from armory.configuration import get_verify_ssl

    try:
        response = requests.head(url, timeout=CONNECT_TIMEOUT, verify=get_verify_ssl(), allow_redirects=True)
    except (requests.RequestException, OSError) as error:
        return type(error).__name__
    return None if response.ok else f"HTTP status {response.status_code}"
