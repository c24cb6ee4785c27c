"""``carla_video_tracking``: ARMORY's CARLA street videos, with an early and complete error where they are missing."""

from __future__ import annotations

import functools
import shlex
import threading
from pathlib import Path
from typing import Any, Literal

from armory_skelevision.datasets.options import checks_options, resolve_dataset_dir
from armory_skelevision.datasets.selection import select, single_split
from armory_skelevision.datasets.tfds_records import find_runs
from armory_skelevision.validation import AnyPath, Count, MissingFileError, WholeNumber

VERSION = "2.0.0"
CONNECT_TIMEOUT = 5.0
"""Seconds within which the download's host must answer."""


@checks_options
def carla_video_tracking(
    split: str = "dev",
    epochs: Count = 1,
    batch_size: Literal[1] = 1,
    dataset_dir: AnyPath | None = None,
    framework: Literal["numpy"] = "numpy",
    shuffle_files: bool = False,
    index: list[WholeNumber] | str | None = None,
    max_frames: Count | None = None,
) -> Any:
    """ARMORY's ``carla_video_tracking_dev`` or ``_test``: 960×1280, a green screen, one pedestrian to track.

    Prepared data are read from ``<dataset_dir>/carla_video_tracking_<split>/2.0.0``. Where they are missing ARMORY
    downloads them if their host can be reached; otherwise the error names the commands that get them.

    Args:
        split: ``dev`` or ``test``, or a slice of one (``dev[0:5]``).
        max_frames: Frames kept of each video; None keeps all.

    Returns:
        ``ArmoryDataGenerator``: boxes int64; metadata ``gs_coords`` and ``masks``.
    """
    name = single_split(split, ["dev", "test"])
    folder = resolve_dataset_dir(dataset_dir)
    require_data(name, folder)
    from armory.data import adversarial_datasets

    load = functools.partial(
        getattr(adversarial_datasets, f"carla_video_tracking_{name}"),
        epochs=epochs,
        dataset_dir=str(folder),
        framework=framework,
        shuffle_files=shuffle_files,
        max_frames=max_frames,
    )
    whole = load(split=name)  # only now the number of videos is known, which TFDS does not compare slices with
    numbers = select(whole.samples_per_epoch, split, index)
    if len(numbers) == whole.samples_per_epoch:
        return whole
    return load(split="+".join(f"{name}[{run.start}:{run.stop}]" for run in find_runs(numbers)))


def require_data(split: str, dataset_dir: Path) -> None:
    """Check that ARMORY will find the data of a split: prepared, as a downloaded archive, or at their host.

    ARMORY's own attempt has no timeout, and ends in errors of TFDS and urllib without a remedy; this one raises
    `MissingFileError`.
    """
    name = f"carla_video_tracking_{split}"
    prepared = dataset_dir / name / VERSION
    if (prepared / "dataset_info.json").is_file() and any(prepared.glob("*.tfrecord*")):
        return
    url, size = _archive(name)
    archive = dataset_dir / "cache" / Path(url).name
    if prepared.is_dir():
        problem = f"an incomplete folder {prepared}, to be deleted first"
    elif archive.is_file() and archive.stat().st_size == size:
        return
    else:
        answer = _reach(url)
        if answer is None:
            return
        problem = f"no such file, and a download that cannot be reached ({answer})"
    fix = (
        f"on a machine with network run `curl -LO {url}` ({size / 1e9:.1f} GB), copy the archive here and run "
        f"`tar -xzf {archive.name} -C {shlex.quote(str(dataset_dir))}` "
        "(in Docker /armory/datasets is the dataset_dir of `armory configure`)"
    )
    raise MissingFileError("dataset", f"the split's {prepared / 'dataset_info.json'} and records", problem, fix)


def _archive(name: str) -> tuple[str, int]:
    # The line that ARMORY itself uses: bucket, key, size in bytes, hash.
    from armory.data import datasets

    line = Path(datasets.CACHED_CHECKSUMS_DIR, f"{name}.txt").read_text(encoding="utf-8")
    bucket, key, size, _ = line.split()
    return f"https://{bucket}.s3.us-east-2.amazonaws.com/{key}", int(size)


def _reach(url: str) -> str | None:
    """Why a URL cannot be fetched; None if it can."""
    answers: list[str | None] = []
    # A thread, because looking up the host's name has no timeout of its own.
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
