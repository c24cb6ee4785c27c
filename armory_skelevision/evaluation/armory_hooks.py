"""The hook that ARMORY calls before a model loads: our configs name `prepare_run` as their `user_init`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision.evaluation.table import VIDEO_NAMES, VIDEO_SIZES
from armory_skelevision.weights.packaged import install_weights

_PER_FRAME = (
    *("frame_iou", "mean_frame_iou", "frame_scores", "scored_frames"),
    *("frame_boxes", "tracked_frames", "true_boxes", "annotated_frames"),
)
"""The metrics of which a value is a list, and what ARMORY writes in place of their means."""


def prepare_run() -> None:
    """Copy the packaged weights to `saved_model_dir`, make an `ffmpeg` available, record more, and print less.

    ARMORY calls this in the process of the evaluation, with its paths already set for Docker or for the host.
    """
    from armory import paths

    _quiet()
    record_names()
    record_sizes()
    log_scores_only()
    folders = paths.runtime_paths()
    install_weights(folders.saved_model_dir)
    if shutil.which("ffmpeg") is None:
        provide_ffmpeg(folders.tmp_dir)


def record_names() -> None:
    """Have ARMORY's result say which videos were evaluated: a list `VIDEO_NAMES` of the names that data sets give."""
    _record(VIDEO_NAMES, "scenario.y_patch_metadata", _read_name)


def record_sizes() -> None:
    """Have ARMORY's result say how large the videos are: a list `VIDEO_SIZES` of widths and heights."""
    _record(VIDEO_SIZES, "scenario.x", _read_size)


def _record(key: str, probe: str, read: Callable[[Any], Any]) -> None:
    """Record what is read of a probe's values, one for each video; None is left out."""
    instrument = sys.modules.get("armory.instrument")
    if instrument is None:  # no evaluation runs in this process
        return
    hub = instrument.get_hub()

    def record(value: Any) -> list[Any]:
        if (found := read(value)) is not None:
            hub.record(key, found)
        return []

    meter = instrument.Meter(key, record, probe, record_final_only=True)
    hub.connect_meter(meter, use_default_writers=False)


def _read_name(metadata: Any) -> str | None:
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else None


def _read_size(videos: Any) -> list[int] | None:
    """Width and height of the one video of a batch."""
    shape = np.shape(videos[0])
    return [shape[2], shape[1]] if len(shape) == 4 else None


def log_scores_only() -> None:
    """Leave values per frame out of what ARMORY prints, a line for each video, metric and side; they are recorded."""
    instrument = sys.modules.get("armory.instrument")
    if instrument is None:  # no evaluation runs in this process
        return
    writer = instrument.ResultsLogWriter
    write = writer._write

    def write_scores(self: Any, name: str, *values: Any, **kwargs: Any) -> None:
        if name.partition("_")[2] not in _PER_FRAME:  # before it stands whether it is benign or adversarial
            write(self, name, *values, **kwargs)

    writer._write = write_scores


def provide_ffmpeg(folder: str | os.PathLike[str]) -> Path:
    """Make the program that comes with `imageio-ffmpeg` callable as `ffmpeg`, the name that ARMORY's exporter uses.

    The program has another name in its wheel, so a link of the right name is made below ``folder``, and the link's
    folder added to `PATH`. Returns the link.
    """
    import imageio_ffmpeg

    program = Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    # One link per program: environments that share ARMORY's folders do not interfere.
    link = Path(folder) / f"ffmpeg-{hashlib.sha256(bytes(program)).hexdigest()[:12]}" / "ffmpeg"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(program)
    os.environ["PATH"] = os.pathsep.join([str(link.parent), os.environ.get("PATH", os.defpath)])
    return link


def _quiet() -> None:
    """Leave out what the evaluation would print of its parts again and again; what was printed before stays."""
    from absl import logging

    warnings.filterwarnings("ignore", category=UserWarning, module=r"armory\.paths")  # said once, at the start
    logging.set_verbosity(logging.ERROR)  # of TensorFlow Datasets, on its own deprecated names
