"""Frames beside a run's result: those that ARMORY exported, or the attacked ones of `skelevision track`.

ARMORY exports frames if the config sets `scenario.export_batches`, each as a file such as
``saved_samples/batch_0_ex_0_scenario.x_adv/batch_0_ex_0_scenario.x_adv_frame_0003.png``. `skelevision track --attack`
writes those of its one video as ``attacked/00000001.png`` and so on.
"""

from __future__ import annotations

import re
from pathlib import Path

from armory_skelevision.results.records import RunResult

ATTACKED = "attacked"
"""Folder of the attacked frames of `skelevision track`."""

_FRAME = re.compile(r"_frame_([0-9]{4,9})\.png")
_ATTACKED_FRAME = re.compile(r"([0-9]{8,9})\.png")


def find_samples(run: RunResult) -> Path | None:
    """ARMORY's folder of exported samples beside a run's result."""
    found = [path for path in sorted(run.folder.glob("saved_samples*")) if path.is_dir()]
    return found[-1] if found else None


def sample_folder(run: RunResult, video: int, side: str) -> Path | None:
    """The folder of one exported video, which may be absent; None if nothing was exported."""
    samples = find_samples(run)
    return samples / f"batch_{video}_ex_0_scenario.{'x' if side == 'benign' else 'x_adv'}" if samples else None


def list_frames(run: RunResult, video: int, side: str) -> dict[int, Path]:
    """The exported frames of a video by number, ascending; {} where none were exported."""
    folder = sample_folder(run, video, side)
    if folder is None and (video, side) == (0, "adversarial"):
        matches = [(_ATTACKED_FRAME.fullmatch(path.name), path) for path in (run.folder / ATTACKED).glob("*.png")]
        return dict(sorted((int(match[1]) - 1, path) for match, path in matches if match))
    paths = folder.glob("*.png") if folder else ()
    matches = [(_FRAME.fullmatch(path.name.removeprefix(path.parent.name)), path) for path in paths]
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def root_of(run: RunResult) -> Path:
    """The folder out of which no file of a run is taken."""
    return run.folder if run.root is None else run.root
