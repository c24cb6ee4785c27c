"""The layouts in which benchmarks publish sequences: where the images are, and the text of the annotation.

Convention: boxes are ``x,y,width,height`` in pixels. OTB numbers the first pixel 1, the others number it 0, as our
readers take them. A frame without a target has 0,0,0,0 in OTB and GOT-10k (there with its flags beside it), and nan in
VOT. Our readers of these layouts leave such a frame out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from armory_skelevision.results.export.sequences import Boxes, has_target, to_lines, to_xywh
from armory_skelevision.results.records import Box

LayoutName = Literal["otb", "got10k", "vot"]


class Layout(NamedTuple):
    """Where a benchmark keeps its sequences and their images."""

    folder: str
    """Folder of the sequences, below that of the data set."""
    images: str
    """Folder of its images, below that of a sequence."""
    digits: int
    """Of a frame's number, at least; all names of a sequence are of one length, since toolkits sort them."""
    first_pixel: int

    def image(self, number: int, count: int) -> str:
        """Path of a frame below the sequence's folder, by its number, counted from 1, of ``count`` frames."""
        return f"{self.images}{number:0{max(self.digits, len(str(count)))}}.jpg"


LAYOUTS: dict[str, Layout] = {
    "otb": Layout("", "img/", 4, 1),
    "got10k": Layout("val", "", 8, 0),
    "vot": Layout("", "color/", 8, 0),
}


class Annotated(NamedTuple):
    """A sequence that is to be written."""

    name: str
    boxes_xyxy: Sequence[Box]
    """True boxes, pixel edges counted from 0."""
    size: tuple[int, int]
    """Width and height of the frames."""


def format_annotation(layout: LayoutName, sequence: Annotated) -> dict[str, str]:
    """The annotation files of a sequence: their text by their name in the sequence's folder."""
    there, boxes_xywh = has_target(sequence.boxes_xyxy), _true_boxes(layout, sequence)
    truth, (width, height) = to_lines(boxes_xywh), sequence.size
    if layout == "otb":
        return {"groundtruth_rect.txt": truth}
    if layout == "vot":
        known = {"channels.color": "color/%08d.jpg", "format": "default", "height": height, "length": len(boxes_xywh)}
        known |= {"name": sequence.name, "width": width}
        return {"groundtruth.txt": truth, "sequence": "".join(f"{key}={value}\n" for key, value in known.items())}
    ends = boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    is_cut = np.asarray(((boxes_xywh[:, :2] < 0) | (ends > sequence.size)).any(axis=1))
    return {
        "groundtruth.txt": truth,
        "meta_info.ini": f"[METAINFO]\nresolution: ({width}, {height})\n",
        "absence.label": _to_column(~there),
        "cover.label": _to_column(8 * there),  # of 0 to 8; how much is visible is not known
        "cut_by_image.label": _to_column(is_cut),
    }


def format_index(layout: LayoutName, sequences: Sequence[Annotated]) -> dict[str, str]:
    """The files about all sequences: their text by their name in the folder of the sequences.

    For OTB that is ``OTB.json``, which PySOT's toolkit reads: there pixels are counted from 0.
    """
    if layout != "otb":
        return {"list.txt": "".join(f"{sequence.name}\n" for sequence in sequences)}
    videos = {}
    for sequence in sequences:
        boxes = to_xywh(sequence.boxes_xyxy, 0).tolist()
        numbers = range(1, len(boxes) + 1)
        images = [f"{sequence.name}/{LAYOUTS[layout].image(number, len(boxes))}" for number in numbers]
        known = {"video_dir": sequence.name, "init_rect": boxes[0], "img_names": images, "gt_rect": boxes, "attr": []}
        videos[sequence.name] = known
    return {"OTB.json": json.dumps(videos) + "\n"}


def _true_boxes(layout: LayoutName, sequence: Annotated) -> Boxes:
    boxes_xywh = to_xywh(sequence.boxes_xyxy, LAYOUTS[layout].first_pixel)
    boxes_xywh[~has_target(sequence.boxes_xyxy)] = np.nan if layout == "vot" else 0
    return boxes_xywh


def _to_column(values: np.ndarray) -> str:
    return "".join(f"{int(value)}\n" for value in values)
