"""A video to look at: frames side by side with their boxes, a caption above each, a legend below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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


def draw_video(panels: Sequence[Panel]) -> NDArray[np.uint8]:
    """Draw all panels, frame by frame.

    Args:
        panels: All of as many frames, of equal height and width.

    Returns:
        (F, H', W', 3) uint8 RGB with even height and width.
    """
    frames, height, width = panels[0].tracked.frames.shape[:3]
    scale = math.ceil(PANEL_WIDTH / width)
    # the scalable font that comes with Pillow
    font: ImageFont.FreeTypeFont = ImageFont.load_default(max(14, round(height * scale / 26)))  # type: ignore[assignment]
    bar = sum(font.getmetrics()) + 2 * GAP
    total = len(panels) * (width * scale + GAP) - GAP, height * scale + 2 * bar
    canvas = Image.new("RGB", (total[0] + total[0] % 2, total[1] + total[1] % 2), BACKGROUND)  # H.264 needs even sides
    names = dict.fromkeys(name for panel in panels for name in panel.boxes_xyxy)
    _draw_legend(ImageDraw.Draw(canvas), (GAP, total[1] - bar // 2), font, names)
    return np.stack([_draw_frame(canvas.copy(), panels, index, scale, font, bar) for index in range(frames)])


def _draw_frame(
    canvas: Image.Image, panels: Sequence[Panel], index: int, scale: int, font: ImageFont.FreeTypeFont, bar: int
) -> NDArray[np.uint8]:
    draw = ImageDraw.Draw(canvas)
    left = 0
    for title, tracked, boxes_xyxy in panels:
        picture = _draw_boxes(tracked.frames[index], {name: boxes[index] for name, boxes in boxes_xyxy.items()}, scale)
        canvas.paste(picture, (left, bar))
        caption = f"{title}   frame {index}   IoU {tracked.frame_ious[index]:.2f}   mean {tracked.mean_iou:.2f}"
        draw.text((left + GAP, bar // 2), caption, TEXT, font, anchor="lm")
        left += picture.width + GAP
    return np.asarray(canvas)


def _draw_boxes(frame: NDArray[np.float32], boxes_xyxy: Mapping[str, NDArray[np.float32]], scale: int) -> Image.Image:
    picture = Image.fromarray((frame * 255).round().astype(np.uint8))
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
