"""What came out of an evaluation from Python: boxes, scores, and a folder of files."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.datasets.video import Video
from armory_skelevision.evaluation.drawing import Panel, draw_video
from armory_skelevision.evaluation.measuring import TrackedBoxes, measure_boxes
from armory_skelevision.evaluation.record import (
    TRUTH_BY_TRACKER,
    describe_parts,
    describe_weights,
    record_side,
    record_video,
)
from armory_skelevision.evaluation.table import REACH
from armory_skelevision.io.folders import new_folder
from armory_skelevision.io.video_files import write_video
from armory_skelevision.validation import check_value


@dataclass(frozen=True, eq=False)
class TrackedVideo(TrackedBoxes):
    """A tracked video and how well it was tracked; see `TrackedBoxes` for the boxes and their metrics.

    Attributes:
        frames: What the tracker saw, (F, H, W, 3) RGB in [0, 1]; with an attack, the attacked frames.
    """

    frames: NDArray[np.float32] = field(repr=False, kw_only=True)


def measure(
    frames: NDArray[np.float32],
    prediction: Mapping[str, Any],
    truth_xyxy: ArrayLike,
    benign_scores: NDArray[Any] | None = None,
) -> TrackedVideo:
    """The frames (F, H, W, 3) that a tracker saw, with what `measure_boxes` says of the prediction for them."""
    return TrackedVideo(**vars(measure_boxes(prediction, truth_xyxy, benign_scores)), frames=frames)


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """One evaluated video.

    Attributes:
        tracker: The tracker, an ART estimator.
        video: What was evaluated.
        benign: The video as it is, tracked.
        adversarial: The attacked video, tracked; None without an attack.
        attack: The attack, or None.
        defense: The defense, or None.
        attack_seconds: How long the attack took to make the adversarial video; None without one.
        reach: The share of frames in which a perfect patch could win, in [0, 1]; None where the attack knows of none.
        truth_by_tracker: Whether the video's true boxes are those of the benign run, but for the first.
    """

    tracker: Any = field(repr=False)
    video: Video
    benign: TrackedVideo
    adversarial: TrackedVideo | None = None
    attack: Any = field(default=None, repr=False)
    defense: Any = field(default=None, repr=False)
    attack_seconds: float | None = None
    reach: float | None = None
    truth_by_tracker: bool = False

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``result.json``, ``boxes.csv`` and ``video.mp4`` (H.264, plays in any browser).

        ``result.json`` has the form of ARMORY's result files: `skelevision summary`, `report` and `compare` read it.

        Args:
            folder: A new or empty folder; parents are made if need be.

        Returns:
            The folder.

        Raises:
            InvalidValueError: If the folder is not empty. Nothing is ever overwritten, and the folder is there as a
                whole or not at all.
            OSError: If a file cannot be written.
        """
        check_value("folder", folder, str | os.PathLike)
        with new_folder(Path(folder)) as target:
            self.write_files(target)
        return Path(folder)

    def write_files(self, folder: Path) -> None:
        """Write the files of `save` into a folder that is there."""
        write_video(folder / "video.mp4", draw_video(self._panels()), self.video.frame_rate, preset="medium")
        (folder / "boxes.csv").write_text(self._table(), encoding="utf-8")
        (folder / "result.json").write_text(json.dumps(self._record(), indent=4) + "\n", encoding="utf-8")

    def _panels(self) -> list[Panel]:
        boxes_xyxy = {"true": self.video.boxes_xyxy, "benign": self.benign.boxes_xyxy}
        fits = ("IoU", "IoU")
        if self.truth_by_tracker:
            del boxes_xyxy["true"]
            fits = ("", "IoU with benign")
        panels = [Panel("Benign", self.benign, boxes_xyxy, fits[0])]
        if self.adversarial is not None:
            attacked = self.adversarial
            panels.append(Panel("Attacked", attacked, {**boxes_xyxy, "attacked": attacked.boxes_xyxy}, fits[1]))
        return panels

    def _tracked(self) -> dict[str, TrackedVideo]:
        both = {"benign": self.benign, "adversarial": self.adversarial}
        return {name: tracked for name, tracked in both.items() if tracked is not None}

    def _table(self) -> str:
        """One line per frame: true boxes, then for each tracked video boxes, IoU and score."""
        columns: dict[str, Iterable[Any]] = {"frame": range(len(self.video))}
        columns |= _list_corners("true", self.video.boxes_xyxy)
        for name, tracked in self._tracked().items():
            columns |= _list_corners(name, tracked.boxes_xyxy) | {f"{name}_iou": tracked.frame_ious}
            if tracked.scores is not None:
                columns[f"{name}_score"] = tracked.scores
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(columns)
        # As text, a float32 is the shortest number that reads back as the same.
        lines.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()

    def _record(self) -> dict[str, Any]:
        """A result file in ARMORY's form, so that `skelevision summary`, `report` and `compare` read it."""
        dataset: dict[str, Any] = {"name": self.video.name, "names": [self.video.name], "frames": len(self.video)}
        if self.truth_by_tracker:
            dataset["truth"] = TRUTH_BY_TRACKER
        results = record_video(self.video.name, self.video.frames.shape[2:0:-1])
        for side, tracked in self._tracked().items():
            results |= record_side(side, tracked, self.video.boxes_xyxy)
        if self.reach is not None:
            results[REACH] = [self.reach]
        config = {**describe_parts(self.tracker, self.attack, self.defense), "dataset": dataset}
        about = {"weights": describe_weights(self.tracker), "timestamp": time.time()}
        return {"config": config, "results": results, **about, "attack_seconds": self.attack_seconds}


def _list_corners(name: str, boxes_xyxy: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The columns of boxes (F, 4) in a table."""
    return {f"{name}_{corner}": column for corner, column in zip(("x1", "y1", "x2", "y2"), boxes_xyxy.T, strict=True)}
