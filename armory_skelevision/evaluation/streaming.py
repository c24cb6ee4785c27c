"""Tracking of a video of any length, which is read, tracked, drawn and written frame by frame."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import is_annotated, xywh_to_xyxy
from armory_skelevision.confidence import LostAlarm
from armory_skelevision.datasets.frame_source import FrameSource
from armory_skelevision.evaluation.drawing import Drawing, Picture, write_caption
from armory_skelevision.evaluation.measuring import TrackedBoxes, measure_boxes
from armory_skelevision.evaluation.record import (
    describe_parts,
    describe_weights,
    record_boxes,
    record_side,
    record_video,
)
from armory_skelevision.io import progress
from armory_skelevision.io.folders import new_folder
from armory_skelevision.io.video_writer import open_writer
from armory_skelevision.models.adapter import Answer
from armory_skelevision.models.following import follow


@dataclass(frozen=True)
class TrackedFile:
    """What a tracker found in a video.

    Attributes:
        boxes_xywh: (F, 4) float64, left, top, width and height in pixels, that of the first frame included.
        scores: The tracker's confidence in each box, (F,), on its own scale; None for a tracker without one.
        lost: Numbers of the frames whose score says that the target may be lost; see `LostAlarm`.
        fps: Frames per second, reading, tracking, drawing and writing together.
        measured: How well the boxes fit the true ones; None where these are unknown.
    """

    boxes_xywh: NDArray[np.float64] = field(repr=False)
    scores: NDArray[np.float64] | None = field(repr=False)
    lost: Sequence[int]
    fps: float
    measured: TrackedBoxes | None = None


def track_file(
    tracker: Any,
    source: FrameSource,
    box_xywh: ArrayLike,
    out: Path,
    max_frames: int | None = None,
    truth_xyxy: NDArray[Any] | None = None,
) -> TrackedFile:
    """Track a target through a video, in the memory of a few frames.

    Writes ``boxes.txt`` (left, top, width, height of each frame), ``scores.txt`` if there are any, ``result.json`` in
    the form of ARMORY's result files, and ``video.mp4`` with boxes, scores and "LOST?".

    Args:
        tracker: From `load_tracker`.
        source: The video, from `open_frames`.
        box_xywh: The target in the first frame, (4,), pixels.
        out: A new or empty folder, which is there as a whole or not at all.
        max_frames: How many frames to track, from the first; None for all.
        truth_xyxy: True boxes (F, 4), to be drawn and measured; None, or that of the first frame alone, where they are
            unknown.

    Raises:
        InvalidValueError: For a box outside the frame, a folder with something in it, or a video that cannot be read.
    """
    start, alarm = time.perf_counter(), LostAlarm()
    if truth_xyxy is not None and not is_annotated(truth_xyxy[:max_frames]):
        truth_xyxy = None
    answers: list[Answer] = []
    drawing = Drawing(source.size, 1, ["benign"] if truth_xyxy is None else ["true", "benign"])
    total = source.count if max_frames is None else min(max_frames, source.count or max_frames)
    frames = progress(islice(source, max_frames), source.name, total=total, unit="frame")
    with new_folder(out) as folder:
        with open_writer(folder / "video.mp4", drawing.size, source.fps, preset="medium") as writer:
            for frame, answer in _follow(tracker, frames, box_xywh):
                boxes_xyxy = {} if truth_xyxy is None else {"true": truth_xyxy[len(answers)]}
                boxes_xyxy["benign"] = _to_xyxy(answer.box_xywh)
                caption = write_caption(f"frame {len(answers)}", answer.score, alarm.hear(answer.score))
                writer.write(drawing.draw([Picture(frame, boxes_xyxy, caption)]))
                answers.append(answer)
        found = _collect(answers, alarm.frames, len(answers) / (time.perf_counter() - start), truth_xyxy)
        write_boxes(folder, found.boxes_xywh, found.scores)
        given = [float(value) for value in np.asarray(box_xywh)]
        record = json.dumps(_record(tracker, source, found, truth_xyxy, given), indent=4)
        (folder / "result.json").write_text(f"{record}\n", encoding="utf-8")
    return found


def write_boxes(folder: Path, boxes_xywh: NDArray[Any], scores: NDArray[Any] | None, prefix: str = "") -> None:
    """Write boxes (F, 4) and scores (F,), if any, as text, one line a frame: ``boxes.txt`` and ``scores.txt``."""
    lines = "".join(",".join(f"{value:.3f}" for value in box) + "\n" for box in boxes_xywh)
    (folder / f"{prefix}boxes.txt").write_text(lines, encoding="utf-8")
    if scores is not None:
        (folder / f"{prefix}scores.txt").write_text("".join(f"{score:.6f}\n" for score in scores), encoding="utf-8")


def _follow(
    tracker: Any, frames: Iterable[NDArray[np.uint8]], box_xywh: ArrayLike
) -> Iterator[tuple[NDArray[np.uint8], Answer]]:
    """Each frame with the tracker's answer; one is kept at a time, where `itertools.tee` would keep dozens."""
    seen: deque[NDArray[np.uint8]] = deque(maxlen=1)

    def watch() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            seen.append(frame)
            yield frame

    for answer in follow(tracker, watch(), box_xywh):
        yield seen[0], answer


def _collect(
    answers: Sequence[Answer], lost: Sequence[int], fps: float, truth_xyxy: NDArray[Any] | None
) -> TrackedFile:
    boxes_xywh = np.stack([answer.box_xywh for answer in answers])
    scores = [answer.score for answer in answers[1:]]
    known: NDArray[np.float64] | None = None
    if scores and None not in scores:
        # Trackers of images are not asked about the first frame.
        first = scores[0] if answers[0].score is None else answers[0].score
        known = np.array([first, *scores], np.float64)
    if truth_xyxy is None:
        return TrackedFile(boxes_xywh, known, lost, fps)
    prediction = {"boxes": _to_xyxy(boxes_xywh), "scores": known}
    return TrackedFile(boxes_xywh, known, lost, fps, measure_boxes(prediction, truth_xyxy[: len(answers)]))


def _record(
    tracker: Any, source: FrameSource, found: TrackedFile, truth_xyxy: NDArray[Any] | None, box_xywh: list[float]
) -> dict[str, Any]:
    results = record_video(source.name, source.size)
    if found.measured is None or truth_xyxy is None:
        results |= record_boxes("benign", _to_xyxy(found.boxes_xywh), found.scores)
    else:
        results |= record_side("benign", found.measured, truth_xyxy[: len(found.boxes_xywh)])
    dataset: dict[str, Any] = {"name": source.name, "names": [source.name], "frames": len(found.boxes_xywh)}
    if found.measured is None:
        dataset["box_xywh"] = box_xywh  # beside true boxes it would say nothing new
    config = {**describe_parts(tracker), "dataset": dataset}
    about = {"weights": describe_weights(tracker), "timestamp": time.time(), "fps": found.fps}
    return {"config": config, "results": results, **about}


def _to_xyxy(boxes_xywh: NDArray[Any]) -> NDArray[np.float32]:
    return xywh_to_xyxy(torch.from_numpy(boxes_xywh)).float().numpy()
