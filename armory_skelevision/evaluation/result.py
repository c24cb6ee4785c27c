"""What came out of an evaluation from Python: boxes, scores, and a folder of files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import loguru
import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import read_numbers
from armory_skelevision.datasets.video import Video
from armory_skelevision.datasets.video_files import write_video
from armory_skelevision.evaluation.drawing import Panel, draw_video
from armory_skelevision.evaluation.table import METRIC, REACH, VIDEO_NAMES
from armory_skelevision.io import atomic_write
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, check_value

SHARES = ("success_auc", "precision_20px", "normalised_precision")


@dataclass(frozen=True, eq=False)
class TrackedVideo:
    """A tracked video and how well it was tracked. The scores are those of `armory_skelevision.metrics`.

    Attributes:
        frames: What the tracker saw, (F, H, W, 3) RGB in [0, 1]; with an attack, the attacked frames.
        boxes_xyxy: Predicted boxes (F, 4) in pixels, the first frame's included.
        scores: The network's confidence in each box, (F,) in [0, 1]; None for trackers that do not predict it.
        frame_ious: IoU of each frame with the true box, F numbers in [0, 1].
        mean_iou: Mean IoU over frames in [0, 1], without frame 0, whose box is given: ARMORY's
            ``video_tracking_mean_iou``.
        success_auc: Area under the success plot, in [0, 20/21].
        precision_20px: Share of frames whose predicted centre is at most 20 pixels from the true one.
        normalised_precision: The same for 0.2 of the true width and height.
    """

    frames: NDArray[np.float32] = field(repr=False)
    boxes_xyxy: NDArray[np.float32] = field(repr=False)
    scores: NDArray[np.float32] | None = field(repr=False)
    frame_ious: list[float] = field(repr=False)
    mean_iou: float
    success_auc: float
    precision_20px: float
    normalised_precision: float


def measure(frames: NDArray[np.float32], prediction: Mapping[str, Any], truth_xyxy: ArrayLike) -> TrackedVideo:
    """Measure how well a video was tracked.

    Args:
        frames: What the tracker saw, (F, H, W, 3).
        prediction: What it predicted: ``boxes`` (F, 4) xyxy in pixels, and ``scores`` (F,) if it has them.
        truth_xyxy: True boxes (F, 4).

    Raises:
        ValueError: For boxes that do not fit together or are not finite.
    """
    with quiet_armory():
        from armory.metrics.task import video_tracking_mean_iou

        from armory_skelevision import metrics
    boxes_xyxy, scores = read_prediction(prediction, len(frames))
    labels = [{"boxes": truth_xyxy}], [{"boxes": boxes_xyxy}]
    frame_ious = metrics.frame_iou(*labels)[0]  # refuses boxes that ARMORY would fail on
    with quiet_armory():  # it warns of each frame without the target
        mean_iou = float(video_tracking_mean_iou(*labels)[0])
    return TrackedVideo(
        frames,
        boxes_xyxy,
        scores=scores,
        frame_ious=frame_ious,
        mean_iou=mean_iou,
        success_auc=metrics.success_auc(*labels)[0],
        precision_20px=metrics.precision_20px(*labels)[0],
        normalised_precision=metrics.normalised_precision(*labels)[0],
    )


def read_prediction(prediction: Any, count: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Boxes (F, 4) and scores (F,), if any, of any tracker's prediction for F frames; they need not be arrays.

    Raises:
        InvalidTypeError: If it has no boxes.
        InvalidValueError: If boxes or scores are of another shape, or scores are not finite.
    """
    key, expected = "tracker", f'a prediction with "boxes" ({count}, 4), and perhaps "scores" ({count},)'
    if not isinstance(prediction, Mapping) or "boxes" not in prediction:
        got = list(prediction) if isinstance(prediction, Mapping) else type(prediction).__name__
        raise InvalidTypeError(key, expected, str(got))
    boxes_xyxy, scores = read_numbers(key, prediction["boxes"], expected), prediction.get("scores")
    if boxes_xyxy.shape != (count, 4):
        raise InvalidValueError(key, expected, f"boxes of shape {boxes_xyxy.shape}")
    if scores is not None:
        scores = read_numbers(key, scores, expected)
        if scores.shape != (count,) or not np.isfinite(scores).all():
            raise InvalidValueError(key, expected, f"scores of shape {scores.shape}, or NaN")
    return boxes_xyxy, scores


@contextlib.contextmanager
def quiet_armory() -> Iterator[None]:
    """Import or call ARMORY, and with it TensorFlow, without what they print on the way."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    loguru.logger.disable("armory")
    try:
        yield
    finally:
        loguru.logger.enable("armory")


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
            InvalidValueError: If the folder is not empty. Nothing is ever overwritten.
            OSError: If a file cannot be written.
        """
        check_value("folder", folder, str | os.PathLike)
        target = Path(folder)
        if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
            fix = "name another folder, or delete this one"
            raise InvalidValueError("folder", "a new or empty folder", f"{target}, where something is already", fix)
        target.mkdir(parents=True, exist_ok=True)
        write_video(target / "video.mp4", draw_video(self._panels()), self.video.frame_rate, preset="medium")
        atomic_write(target / "boxes.csv", self._table().encode())
        atomic_write(target / "result.json", (json.dumps(self._record(), indent=4) + "\n").encode())
        return target

    def _panels(self) -> list[Panel]:
        boxes_xyxy = {"true": self.video.boxes_xyxy, "benign": self.benign.boxes_xyxy}
        panels = [Panel("Benign", self.benign, boxes_xyxy)]
        if self.adversarial is not None:
            attacked = self.adversarial
            panels.append(Panel("Attacked", attacked, {**boxes_xyxy, "attacked": attacked.boxes_xyxy}))
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
        labels = {"true": self.video.boxes_xyxy, **{side: each.boxes_xyxy for side, each in self._tracked().items()}}
        boxes = {name: np.round(boxes_xyxy.astype(np.float64), 2).tolist() for name, boxes_xyxy in labels.items()}
        results: dict[str, Any] = {}
        for side, tracked in self._tracked().items():
            values = {METRIC: tracked.mean_iou, **{name: getattr(tracked, name) for name in SHARES}}
            values |= {"frame_iou": tracked.frame_ious, "frame_boxes": boxes[side], "true_boxes": boxes["true"]}
            results |= {f"{side}_{metric}": [[value]] for metric, value in values.items()}
        results[VIDEO_NAMES] = [self.video.name]
        if self.reach is not None:
            results[REACH] = [self.reach]
        dataset = {"name": self.video.name, "names": [self.video.name], "frames": len(self.video)}
        if self.truth_by_tracker:
            dataset["truth"] = "the boxes of the benign run, but for the first"
        config = {
            "model": _describe(self.tracker, ""),
            "attack": _describe(self.attack, "attack_params"),
            "defense": _describe(self.defense, "params"),
            "dataset": dataset,
        }
        return {"config": config, "results": results, "timestamp": time.time(), "attack_seconds": self.attack_seconds}


def _list_corners(name: str, boxes_xyxy: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The columns of boxes (F, 4) in a table."""
    return {f"{name}_{corner}": column for corner, column in zip(("x1", "y1", "x2", "y2"), boxes_xyxy.T, strict=True)}


def _describe(made: Any, parameters: str) -> dict[str, Any] | None:
    """Class and settings of an ART estimator, attack or preprocessor."""
    if made is None:
        return None
    settings = {name: getattr(made, name, None) for name in getattr(made, parameters, [])}
    plain = json.loads(json.dumps(settings, default=str))
    return {"module": type(made).__module__, "name": type(made).__name__, "kwargs": plain}
