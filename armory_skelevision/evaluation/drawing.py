"""A video to look at: frames side by side with their boxes, a caption above each, a legend below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from armory_skelevision.confidence import LostAlarm

if TYPE_CHECKING:
    from armory_skelevision.evaluation.result import TrackedVideo

# Colours that people with any colour vision can tell apart (Okabe and Ito 2008), and what they stand for.
COLOURS = {
    "true": ((255, 255, 255), "true box"),
    "benign": ((86, 180, 233), "tracked, benign"),
    "attacked": ((230, 159, 0), "tracked under attack"),
}
BACKGROUND = (24, 26, 30)
TEXT = (240, 240, 240)
GAP = 8
"""Pixels between panels, and around text."""
PANEL_WIDTH = 480
"""Pixels that a panel has at least; smaller frames are enlarged by a whole factor."""


class Panel(NamedTuple):
    """One of the videos that are shown beside each other."""

    title: str
    tracked: TrackedVideo
    boxes_xyxy: Mapping[str, NDArray[np.float32]]
    """Boxes (F, 4) in pixels of the frames, by the keys of `COLOURS`; later ones are drawn on top."""
    fit: str = "IoU"
    """What captions call the IoU; "" leaves it out."""


class Picture(NamedTuple):
    """One frame of a panel."""

    frame: NDArray[Any]
    """(H, W, 3), RGB, uint8 or floating point in [0, 1]."""
    boxes_xyxy: Mapping[str, NDArray[np.float32]]
    """Boxes (4,) in pixels, by the keys of `COLOURS`."""
    caption: str


class Drawing:
    """The layout of a video of panels: captions above, a legend below.

    Args:
        size: Width and height of the frames in pixels.
        panels: How many are shown beside each other.
        names: The boxes of the legend, by the keys of `COLOURS`.
    """

    def __init__(self, size: tuple[int, int], panels: int, names: Iterable[str]) -> None:
        width, height = size
        self.scale = math.ceil(PANEL_WIDTH / width)
        # the scalable font that comes with Pillow
        self.font: ImageFont.FreeTypeFont = ImageFont.load_default(max(14, round(height * self.scale / 26)))  # type: ignore[assignment]
        self.bar = sum(self.font.getmetrics()) + 2 * GAP
        total = panels * (width * self.scale + GAP) - GAP, height * self.scale + 2 * self.bar
        even = (total[0] + total[0] % 2, total[1] + total[1] % 2)  # as H.264 needs it
        self._empty = Image.new("RGB", even, BACKGROUND)
        _draw_legend(ImageDraw.Draw(self._empty), (GAP, total[1] - self.bar // 2), self.font, names)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole, both even."""
        return self._empty.size

    def draw(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """One frame of the whole, (H', W', 3) uint8 RGB, of one picture for each panel."""
        canvas, left = self._empty.copy(), 0
        draw = ImageDraw.Draw(canvas)
        for frame, boxes_xyxy, caption in pictures:
            picture = _draw_boxes(frame, boxes_xyxy, self.scale)
            canvas.paste(picture, (left, self.bar))
            draw.text((left + GAP, self.bar // 2), caption, TEXT, self.font, anchor="lm")
            left += picture.width + GAP
        return np.asarray(canvas)


def draw_video(panels: Sequence[Panel]) -> NDArray[np.uint8]:
    """Draw all panels, frame by frame.

    Args:
        panels: All of as many frames, of equal height and width.

    Returns:
        (F, H', W', 3) uint8 RGB with even height and width.
    """
    frames, height, width = panels[0].tracked.frames.shape[:3]
    names = dict.fromkeys(name for panel in panels for name in panel.boxes_xyxy)
    drawing, alarms = Drawing((width, height), len(panels), names), [LostAlarm() for _ in panels]
    shown = []
    for index in range(frames):
        pictures = [_show(panel, index, alarm) for panel, alarm in zip(panels, alarms, strict=True)]
        shown.append(drawing.draw(pictures))
    return np.stack(shown)


def write_caption(text: str, score: float | None, is_lost: bool) -> str:
    """A caption such as "frame 12   score 0.31   LOST?"."""
    parts = [text, *([] if score is None else [f"score {score:.2f}"]), *(["LOST?"] if is_lost else [])]
    return "   ".join(parts)


def _show(panel: Panel, index: int, alarm: LostAlarm) -> Picture:
    title, tracked, boxes_xyxy, fit = panel
    text = f"{title}   frame {index}"
    if fit:
        text += f"   {fit} {tracked.frame_ious[index]:.2f}   mean {tracked.mean_iou:.2f}"
    score = None if tracked.scores is None else float(tracked.scores[index])
    caption = write_caption(text, score, alarm.hear(score))
    return Picture(tracked.frames[index], {name: boxes[index] for name, boxes in boxes_xyxy.items()}, caption)


def _draw_boxes(frame: NDArray[Any], boxes_xyxy: Mapping[str, NDArray[np.float32]], scale: int) -> Image.Image:
    picture = Image.fromarray(frame if frame.dtype == np.uint8 else (frame * 255).round().astype(np.uint8))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(picture.height / 160))
    for name, box_xyxy in boxes_xyxy.items():
        x1, y1, x2, y2 = (box_xyxy * scale).round().tolist()
        if x1 == x2 or y1 == y2:  # a frame without the target
            continue
        # A dark rim keeps light boxes visible on light ground.
        draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=(0, 0, 0), width=line + 2)
        draw.rectangle((x1, y1, x2, y2), outline=COLOURS[name][0], width=line)
    return picture


def _draw_legend(
    draw: ImageDraw.ImageDraw, middle_left: tuple[int, int], font: ImageFont.FreeTypeFont, names: Iterable[str]
) -> None:
    x, y = middle_left
    side = round(font.size * 0.7)
    for colour, text in (COLOURS[name] for name in names):
        draw.rectangle((x, y - side // 2, x + side, y + side // 2), outline=colour, width=3)
        x += side + GAP
        draw.text((x, y), text, TEXT, font, anchor="lm")
        x += round(font.getlength(text)) + 3 * GAP
