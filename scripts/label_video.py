"""Boxes of the people in unlabelled videos, by teachers: a detector, and a tracker that must agree with itself.

    python -m scripts.label_video VIDEO … --out FOLDER --detector FastestDet.onnx --tracker nanotrackv3.pth
                                  [--length 60] [--every 2] [--agreement 0.7] [--min-height 40]

Every ``--length`` frames, the detector finds people. The tracker follows each forward to the end of these frames, and
from there backward again. A frame is kept as far as both boxes agree (IoU of at least ``--agreement``), the way back
has led to the same person, and the detector finds it in the last of them, too; its box is the mean of the two. Writes
``FOLDER/images`` and ``FOLDER/boxes.json``, which ``skelevision data crops pictures`` reads; the boxes are marked as
the teachers'. Some frames at a time are in memory.

Look at some of the pictures before you train on them. The teachers are not part of this package: FastestDet is on
github.com/dog-qiuqiu/FastestDet (BSD 3), NanoTrack comes with `skelevision weights fetch`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from armory_skelevision.boxes import iou
from armory_skelevision.datasets.frame_source import FrameSource, open_frames
from armory_skelevision.io import atomic_write, progress, refuse_existing
from armory_skelevision.models import SiameseEstimator, nanotrack
from armory_skelevision.tracking import ChosenFrames
from armory_skelevision.training.videos import ReadFrames
from scripts.person_detector import PersonDetector

Detector = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""The boxes (n, 4) xyxy of the people in a frame."""
TEACHER = "FastestDet and NanoTrack"
FEWEST = 3
"""Frames that a track must have."""
SEEN = 0.6
"""Least IoU with a person whom the detector finds where a track ends."""
JPEG_QUALITY = 92


def follow(
    tracker: SiameseEstimator, frames: Sequence[NDArray[np.uint8]], box_xyxy: NDArray[np.float32], agreement: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Track a person forward and, from the last frame, backward.

    Args:
        tracker: The tracker.
        frames: (H, W, 3) uint8 RGB each.
        box_xyxy: (4,) the person in the first frame.
        agreement: Least IoU of the two boxes of a frame.

    Returns:
        The mean (F, 4) of both boxes, and for each frame whether they agree; for none if the way back has not led to
        the person of the first frame.
    """
    source = ReadFrames(len(frames), lambda index: frames[index])
    backward = ChosenFrames(source, range(len(frames) - 1, -1, -1))
    with torch.no_grad():
        there = tracker.track(source, torch.from_numpy(box_xyxy))
        back = tracker.track(backward, there[-1]).flip(0)
    agrees = iou(there, back) >= agreement
    mean = ((there + back) / 2).numpy()
    if not agrees[0]:
        agrees[:] = False
    return mean, agrees.numpy()


def is_seen(
    detector: Detector, frames: Sequence[NDArray[np.uint8]], boxes_xyxy: NDArray[np.float32], number: int
) -> bool:
    """Whether the detector finds the person, too, where a track ends. Else it may have begun with no person."""
    found = torch.from_numpy(detector(frames[number]))
    return bool((iou(found, torch.from_numpy(boxes_xyxy[number])) >= SEEN).any())


def read_chunks(source: FrameSource, length: int, every: int) -> Iterator[tuple[int, list[NDArray[np.uint8]]]]:
    """The number of the first frame, and some frames in order, of which each ``every``-th is taken."""
    frames = islice(iter(source), 0, None, every)
    for first in count(0, length * every):
        chunk = list(islice(frames, length))
        if not chunk:
            return
        yield first, chunk


def label(
    detector: Detector, tracker: SiameseEstimator, source: FrameSource, name: str, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The entries of ``boxes.json`` for a video, whose frames are written as pictures."""
    track = 0
    parts = None if source.count is None else -(-source.count // (options.length * options.every))
    for first, frames in progress(read_chunks(source, options.length, options.every), name, unit="part", total=parts):
        entries: dict[int, dict[str, Any]] = {}
        found_xyxy = detector(frames[0])
        for box_xyxy in found_xyxy[found_xyxy[:, 3] - found_xyxy[:, 1] >= options.min_height]:
            boxes_xyxy, agrees = follow(tracker, frames, box_xyxy, options.agreement)
            if agrees.sum() < FEWEST or not is_seen(detector, frames, boxes_xyxy, int(np.flatnonzero(agrees)[-1])):
                continue
            for number in np.flatnonzero(agrees).tolist():
                frame = first + number * options.every
                usual = {
                    "file": f"{name}-{frame:06d}.jpg",
                    "boxes_xywh": [],
                    "tracks": [],
                    "frame": frame,
                    "teacher": TEACHER,
                }
                entry = entries.setdefault(number, usual)
                x1, y1, x2, y2 = boxes_xyxy[number].round(1).tolist()
                entry["boxes_xywh"].append([x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)])
                entry["tracks"].append(track)
            track += 1
        for number, entry in sorted(entries.items()):
            write_picture(options.out / "images" / entry["file"], frames[number])
            yield entry


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (H, W, 3) RGB as JPEG."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"{path.name}: the picture cannot be encoded as JPEG")
    atomic_write(path, data.tobytes())


def main() -> None:
    """Label videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="files or folders of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--detector", type=Path, required=True, help="FastestDet.onnx")
    parser.add_argument("--tracker", type=Path, required=True, help="nanotrackv3.pth")
    parser.add_argument("--length", type=int, default=60, help="frames from one detection to the next, default 60")
    parser.add_argument("--every", type=int, default=2, help="take every so many frames, default 2")
    parser.add_argument("--agreement", type=float, default=0.7, help="least IoU, default 0.7")
    parser.add_argument("--min-height", type=float, default=40, help="of a person in pixels, default 40")
    options = parser.parse_args()
    refuse_existing(options.out / "boxes.json")
    (options.out / "images").mkdir(parents=True, exist_ok=True)
    detector, tracker = PersonDetector(options.detector), nanotrack({}, {}, options.tracker)
    entries: list[dict[str, Any]] = []
    for number, path in enumerate(options.videos):
        source = open_frames(path)
        first = 1 + max([track for entry in entries for track in entry["tracks"]], default=-1)
        for entry in label(detector, tracker, source, f"{number:03d}-{source.name}", options):
            entries.append(entry | {"tracks": [first + track for track in entry["tracks"]]})
    atomic_write(options.out / "boxes.json", json.dumps(entries).encode())
    boxes = sum(len(entry["boxes_xywh"]) for entry in entries)
    print(f"{boxes} boxes in {len(entries)} pictures in {options.out}")


if __name__ == "__main__":
    main()
