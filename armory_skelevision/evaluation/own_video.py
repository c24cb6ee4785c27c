"""Anybody's video: opened, tracked and, if wanted, attacked, with files to look at. `skelevision track` is this."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from armory_skelevision.attacks.patch.base import ScreenAttack
from armory_skelevision.boxes import xyxy_to_xywh
from armory_skelevision.datasets.frame_source import FrameSource, open_frames, open_sequence
from armory_skelevision.datasets.layouts import Layout
from armory_skelevision.datasets.screen_following import follow_screen, read_corners
from armory_skelevision.datasets.video import Video, load_video
from armory_skelevision.evaluation.evaluate import evaluate
from armory_skelevision.evaluation.result import EvaluationResult, TrackedVideo
from armory_skelevision.evaluation.streaming import write_boxes
from armory_skelevision.io import progress
from armory_skelevision.io.folders import new_folder, refuse_filled
from armory_skelevision.io.images import encode_png
from armory_skelevision.models.following import check_box_xywh
from armory_skelevision.validation import InvalidValueError, check_value

WINDOW = "Draw a box around the target, then press Enter"


@dataclass(frozen=True)
class OwnVideo:
    """A video that is read frame by frame, and its target.

    Attributes:
        path: Where it is.
        source: Its frames.
        box_xywh: The target in the first frame: left, top, width and height in pixels.
        truth_xyxy: True boxes (F, 4), of a benchmark's sequence; None where there are none.
        layout: The benchmark, where it was said.
    """

    path: Path
    source: FrameSource
    box_xywh: Sequence[float]
    truth_xyxy: NDArray[Any] | None = None
    layout: Layout | None = None


def open_video(path: Path, box_xywh: Sequence[float] | None, layout: Layout | None = None) -> OwnVideo:
    """Open a video, and ask for the target in a window if it is not given.

    Args:
        path: A video file, a folder of pictures, or a benchmark's sequence, which has true boxes.
        box_xywh: The target in the first frame, (4,), pixels; None for a sequence, or to draw it.
        layout: The benchmark, where it has to be said.

    Raises:
        MissingFileError: If there is nothing there.
        InvalidValueError: If it cannot be read, or there is no box and no display to draw one on.
    """
    check_value("layout", layout, Layout | None)
    sequence, source = open_sequence(path, layout), open_frames(path, layout)
    if sequence is not None:
        if box_xywh is not None:
            raise InvalidValueError("box", "none, as the sequence has true boxes", str(list(box_xywh)))
        first_xyxy = torch.from_numpy(sequence.boxes_xyxy[0])
        return OwnVideo(path, source, xyxy_to_xywh(first_xyxy).tolist(), sequence.boxes_xyxy, layout)
    box_xywh = draw_box(next(iter(source))) if box_xywh is None else box_xywh
    check_box_xywh(box_xywh, source.size)
    return OwnVideo(path, source, box_xywh)


def draw_box(frame: NDArray[np.uint8]) -> tuple[float, ...]:
    """Let the user draw a box (x, y, width, height) on a frame (H, W, 3), uint8 RGB, in a window.

    Raises:
        InvalidValueError: If there is no display, or nothing was drawn.
    """
    expected, fix = "the target in the first frame", "give --box X,Y,W,H, in pixels"
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InvalidValueError("box", expected, "none, and there is no display to draw it on", fix)
    try:
        drawn = cv2.selectROI(WINDOW, np.ascontiguousarray(frame[..., ::-1]), showCrosshair=False)
        cv2.destroyAllWindows()
    except cv2.error:
        raise InvalidValueError("box", expected, "none, and OpenCV cannot open a window", fix) from None
    if not drawn[2] or not drawn[3]:
        raise InvalidValueError("box", expected, "none: nothing was drawn", fix)
    return tuple(float(value) for value in drawn)


def attack_video(
    tracker: Any,
    video: OwnVideo,
    attack: Any,
    out: Path,
    defense: Any = None,
    screen_xy: Sequence[float] | None = None,
    follows: bool = False,
    max_frames: int | None = None,
) -> EvaluationResult:
    """Track a video and attack it, as `evaluate` does, with all frames in memory.

    Where there are no true boxes, those of the benign run stand in for them, in the attack and in its metrics. Beside
    what `EvaluationResult.save` writes, there are ``boxes.txt`` and ``scores.txt`` of the benign run, the same of the
    attacked one with the prefix ``attacked_``, and a folder ``attacked`` of all attacked frames as PNG, without loss.

    Args:
        tracker: From `load_tracker`.
        video: From `open_video`.
        attack: An attack on the tracker.
        out: A new or empty folder.
        defense: An ART preprocessor, or None.
        screen_xy: Corners of the screen for a patch in the first frame, (8,) x, y in pixels, clockwise from its top
            left. It is taken to be hidden where the target's box is.
        follows: Whether the screen stays on its surface while the camera moves, instead of on its pixels.
        max_frames: How many frames, from the first; None for all.

    Raises:
        InvalidValueError: For a patch without a screen, a screen that cannot be followed, too many frames for the
            memory, or what `evaluate` refuses.
    """
    wants_screen = isinstance(getattr(attack, "made", attack), ScreenAttack)  # of `Transfer`, what is transferred
    if wants_screen and screen_xy is None:
        raise InvalidValueError("screen", f"corners of a screen for {type(attack).__name__}", "none", "give --screen")
    if screen_xy is not None and not wants_screen:
        raise InvalidValueError("screen", f"none for {type(attack).__name__}, which shows no patch", str(screen_xy))
    refuse_filled(out)  # before an attack that may take hours
    box = None if video.truth_xyxy is not None else video.box_xywh
    loaded = load_video(video.path, box_xywh=box, layout=video.layout, max_frames=max_frames)
    if screen_xy is not None:
        loaded = put_screen(loaded, tracker, screen_xy, follows)
    result = evaluate(tracker, loaded, attack, defense)
    with new_folder(out) as folder:
        result.write_files(folder)
        for prefix, tracked in (("", result.benign), ("attacked_", result.adversarial)):
            if tracked is not None:
                write_boxes(folder, xyxy_to_xywh(torch.from_numpy(tracked.boxes_xyxy)).numpy(), tracked.scores, prefix)
        if result.adversarial is not None:
            _write_frames(folder / "attacked", result.adversarial)
    return result


def put_screen(video: Video, tracker: Any, screen_xy: Sequence[float], follows: bool) -> Video:
    """The video with a screen, which is hidden where the target's box is.

    The box is the true one or, where there is none, that of the tracker. See `attack_video`.
    """
    corners_xy = read_corners(np.reshape(np.asarray(screen_xy, np.float64), (-1, 2)))
    boxes_xyxy = video.boxes_xyxy
    if not video.is_annotated:
        boxes_xyxy = np.asarray(tracker.predict(video.frames[None], y_init=boxes_xyxy[:1])[0]["boxes"])
    gs_coords = np.broadcast_to(corners_xy, (len(video), 4, 2))
    if follows:
        frames = ((frame * 255).round().astype(np.uint8) for frame in video.frames)
        shown = progress(frames, "following the screen", total=len(video), unit="frame")
        gs_coords = follow_screen(shown, corners_xy, boxes_xyxy)
    masks = np.ones(video.frames.shape[:3], np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes_xyxy.round().clip(0).astype(int), strict=True):
        mask[y1:y2, x1:x2] = 0
    if not any(_shows(mask, corners) for mask, corners in zip(masks, gs_coords, strict=True)):
        height, width = video.frames.shape[1:3]
        expected = f"a screen that is seen in some {width}×{height} frame, outside of the target's box"
        raise InvalidValueError("screen", expected, str(corners_xy.tolist()))
    return replace(video, gs_coords=gs_coords, masks=masks)


def _shows(mask: NDArray[np.uint8], corners_xy: NDArray[np.float64]) -> bool:
    """Whether a pixel of the quadrilateral (4, 2) is visible by a mask (H, W)."""
    inside = np.zeros_like(mask)
    cv2.fillConvexPoly(inside, np.rint(corners_xy).clip(-9999, 9999).astype(np.int32), 1)
    return bool((inside & mask).any())


def _write_frames(folder: Path, tracked: TrackedVideo) -> None:
    folder.mkdir()
    for index, frame in enumerate(progress(tracked.frames, "writing attacked frames", unit="frame")):
        (folder / f"{index + 1:08d}.png").write_bytes(encode_png((frame * 255).round().astype(np.uint8)))
