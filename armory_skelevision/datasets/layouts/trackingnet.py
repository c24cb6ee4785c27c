"""TrackingNet (Müller et al., ECCV 2018): ``anno/NAME.txt`` and ``frames/NAME/0.jpg``, ``1.jpg`` and so on.

Below the folder of a chunk (``TRAIN_0``, ``TEST``), ``anno`` has a file for each sequence with a line ``x,y,w,h`` for
each image. The test set's truth is withheld but for the first frame.

Absent targets: none is marked, and every frame counts (``metrics.py`` of the TrackingNet development kit). Boxes are
taken as counted from 0, as trackers' toolkits do.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from armory_skelevision.datasets.image_folders import match_images, numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, read_boxes_xywh, to_xyxy
from armory_skelevision.io import list_folder


def find(root: Path) -> Readers:
    """The sequences of a chunk's folder."""
    truths = [path for path in list_folder(root / "anno") if path.suffix == ".txt"]
    return {path.stem: partial(_read, path, root) for path in truths}


def _read(truth: Path, root: Path) -> ImageSequence:
    folder = root / "frames" / truth.stem
    boxes_xywh = read_boxes_xywh(truth, root)
    images = numbered_images(folder)
    frames = take_range(folder, images, 0, max(images))
    if len(boxes_xywh) == 1 and len(frames) > 1:
        return ImageSequence(truth.stem, frames, truth, to_xyxy(truth, [boxes_xywh[0], *[None] * (len(frames) - 1)]))
    return ImageSequence(truth.stem, match_images(truth, len(boxes_xywh), frames), truth, to_xyxy(truth, boxes_xywh))
