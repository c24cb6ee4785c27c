"""The text formats in which benchmarks take a tracker's boxes, one file or more for each sequence.

Convention: a line per frame, ``x,y,width,height`` in pixels, absolute, with as many digits as the run recorded. The
first line is the box that the tracker was given. OTB numbers the first pixel 1, the others number it 0, as our readers
take them. Frames without a target have a line like all others, since trackers are not told; it is for the toolkit to
leave them out, by its own annotation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from armory_skelevision.results.export.sequences import to_lines, to_xywh
from armory_skelevision.results.records import Box

FormatName = Literal["got10k", "otb", "lasot", "vot"]


class ResultFormat(NamedTuple):
    """Where a benchmark's toolkit looks for the boxes of a sequence, and how it numbers pixels."""

    boxes: str
    """The file's path below the tracker's folder, with the sequence's ``{name}``."""
    first_pixel: int


FORMATS: dict[str, ResultFormat] = {
    "got10k": ResultFormat("{name}/{name}_001.txt", 0),
    "otb": ResultFormat("{name}.txt", 1),
    "lasot": ResultFormat("{name}.txt", 0),
    "vot": ResultFormat("unsupervised/{name}/{name}_001.txt", 0),
}


def format_sequence(
    form: FormatName, name: str, found_xyxy: Sequence[Box], given_xyxy: Box, scores: Sequence[float], first_pixel: int
) -> dict[str, str]:
    """The files of one tracked sequence: their text by their path below the tracker's folder.

    Args:
        form: The format.
        name: Of the sequence.
        found_xyxy: Predicted boxes, pixel edges counted from 0; the first is replaced by the given one.
        given_xyxy: The true box of the first frame.
        scores: The tracker's score of each frame, NaN for none; empty where none were recorded.
        first_pixel: The number of the first pixel.

    Returns:
        Beside the boxes: for GOT-10k the times, which are not known and therefore NaN, since its toolkit fails without
        the file and ignores what is NaN; for VOT the scores, as the property "confidence".
    """
    boxes_xywh = to_xywh([given_xyxy, *found_xyxy[1:]], first_pixel)
    path = FORMATS[form].boxes.format(name=name)
    if form == "got10k":
        times = "nan\n" * len(boxes_xywh)
        return {path: to_lines(boxes_xywh), path.replace("_001.txt", "_time.txt"): times}
    if form == "vot":
        files = {path: "1\n" + to_lines(boxes_xywh[1:])}  # 1 stands for the frame that the tracker starts in
        if scores:
            values = ["", *("" if math.isnan(score) else repr(score) for score in scores[1:])]
            files[path.replace(".txt", "_confidence.value")] = "\n".join(values) + "\n"
        return files
    return {path: to_lines(boxes_xywh)}
