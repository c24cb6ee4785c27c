"""Chooses the constants of a tracker on whole validation videos, by a small grid.

The constants say how far the box may move for a better score, and are not learned. Chosen on few videos they fit these
alone, so PySOT's are kept unless others are better by more than chance.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from armory_skelevision.datasets.sequence_people import VideoLayout
from armory_skelevision.io import atomic_write, printable, progress, refuse_existing
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.training.videos import read_videos, score_videos
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_siamrpn, read_metadata, save_weights

PENALTIES, WINDOWS, RATES = (0.08, 0.16, 0.24), (0.3, 0.4, 0.5), (0.2, 0.3, 0.4)
MARGIN = 0.01
"""By how much the mean IoU of other constants must exceed that of PySOT's to be chosen."""


class Trial(NamedTuple):
    """Constants, and what a tracker reaches with them."""

    settings: TrackerSettings
    """The constants."""
    scores: dict[str, float]
    """Mean IoU in [0, 1] by folder of videos."""

    @property
    def mean(self) -> float:
        """The mean over the folders."""
        return float(np.mean(list(self.scores.values())))


def try_constants(
    weights: Path,
    videos: Mapping[str, VideoLayout],
    penalties: Iterable[float] = PENALTIES,
    windows: Iterable[float] = WINDOWS,
    rates: Iterable[float] = RATES,
) -> list[Trial]:
    """Track the videos with all combinations of constants, PySOT's first.

    Args:
        weights: Weights of a SiamRPN.
        videos: Folders and their layouts; see `read_videos`.
        penalties: Values of ``penalty_k``.
        windows: Values of ``window_influence``.
        rates: Values of ``learning_rate``.

    Raises:
        MissingFileError: If a file is missing.
        InvalidValueError: If a file is wrong, or a constant is out of its range.
    """
    network = load_siamrpn(weights)
    freeze(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    read = read_videos(videos)
    grid = dict.fromkeys(
        [TrackerSettings(), *(TrackerSettings(*values) for values in product(penalties, windows, rates))]
    )
    return [
        Trial(settings, score_videos(network, read, settings)) for settings in progress(grid, "Constants", unit="run")
    ]


def choose(trials: list[Trial]) -> Trial:
    """The trial with the highest mean, or the first, PySOT's, if that is not more than `MARGIN` below it."""
    best = max(trials, key=lambda trial: trial.mean)
    return best if best.mean > trials[0].mean + MARGIN else trials[0]


def write_trials(trials: list[Trial], path: Path) -> None:
    """Write a table of trials as CSV, the best first; never over a file (`FileExistsError`)."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["penalty_k", "window_influence", "learning_rate", "mean_iou", *trials[0].scores])
    for trial in sorted(trials, key=lambda trial: -trial.mean):
        settings = trial.settings
        constants = (settings.penalty_k, settings.window_influence, settings.learning_rate)
        writer.writerow([*constants, *(f"{value:.4f}" for value in (trial.mean, *trial.scores.values()))])
    atomic_write(path, file.getvalue().encode(), new=True)


def write_with_constants(weights: Path, target: Path, settings: TrackerSettings) -> None:
    """Write the same weights with other constants in their metadata, as a new file.

    Raises:
        InvalidValueError: If the weights have no metadata, or the target exists.
        OSError: If it cannot be written.
    """
    refuse_existing(target)
    metadata = read_metadata(weights)
    if metadata is None:
        fix = "rewrite it with `skelevision weights convert`"
        raise InvalidValueError(printable(weights), "a file with metadata", "none in it", fix)
    tracking = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if getattr(settings, field.name) != field.default
    }
    save_weights(load_siamrpn(weights), target, dataclasses.replace(metadata, tracking=tracking), new=True)
