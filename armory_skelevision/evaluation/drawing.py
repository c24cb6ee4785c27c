"""A video to look at: frames side by side with their boxes, a caption above each, a legend below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

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
    frames: NDArray[np.float32]
    """(F, H, W, 3) RGB in [0, 1]."""
    boxes_xyxy: Mapping[str, NDArray[np.float32]]
    """Boxes (F, 4) in pixels of the frames, by the keys of `COLOURS`; later ones are drawn on top."""
    frame_ious: Sequence[float]
    """F numbers in [0, 1], for the caption."""
    mean_iou: float
    """In [0, 1], for the caption."""


def draw_video(panels: Sequence[Panel]) -> NDArray[np.uint8]:
    """Draw all panels, frame by frame.

    Args:
        panels: All of as many frames, of equal height and width.

    Returns:
        (F, H', W', 3) uint8 RGB with even height and width.
    """
    height, width = panels[0].frames.shape[1:3]
    scale = math.ceil(PANEL_WIDTH / width)
    font = _font(max(14, round(height * scale / 26)))
    bar = sum(font.getmetrics()) + 2 * GAP
    size = len(panels) * (width * scale + GAP) - GAP, height * scale + 2 * bar
    names = dict.fromkeys(name for panel in panels for name in panel.boxes_xyxy)
    return np.stack(
        [_draw_frame(panels, index, size, scale, font, bar, names) for index in range(len(panels[0].frames))]
    )


def _draw_frame(
    panels: Sequence[Panel],
    index: int,
    size: tuple[int, int],
    scale: int,
    font: ImageFont.FreeTypeFont,
    bar: int,
    names: Mapping[str, Any],
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), BACKGROUND)  # H.264 needs even sides
    draw = ImageDraw.Draw(canvas)
    left = 0
    for panel in panels:
        picture = _draw_boxes(panel, index, scale)
        canvas.paste(picture, (left, bar))
        caption = f"{panel.title}   frame {index}   IoU {panel.frame_ious[index]:.2f}   mean {panel.mean_iou:.2f}"
        draw.text((left + GAP, bar // 2), caption, TEXT, font, anchor="lm")
        left += picture.width + GAP
    _draw_legend(draw, (GAP, size[1] - bar // 2), font, names)
    return np.asarray(canvas)


def _draw_boxes(panel: Panel, index: int, scale: int) -> Image.Image:
    from PIL import Image, ImageDraw

    pixels = (panel.frames[index] * 255).round().astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(picture.height / 160))
    for name, boxes_xyxy in panel.boxes_xyxy.items():
        x1, y1, x2, y2 = (boxes_xyxy[index] * scale).round().tolist()
        # A dark rim keeps light boxes visible on light ground.
        draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=(0, 0, 0), width=line + 2)
        draw.rectangle((x1, y1, x2, y2), outline=COLOURS[name][0], width=line)
    return picture


def _draw_legend(
    draw: ImageDraw.ImageDraw, middle_left: tuple[int, int], font: ImageFont.FreeTypeFont, names: Mapping[str, Any]
) -> None:
    x, y = middle_left
    side = round(font.size * 0.7)
    for colour, text in (COLOURS[name] for name in names):
        draw.rectangle((x, y - side // 2, x + side, y + side // 2), outline=colour, width=3)
        x += side + GAP
        draw.text((x, y), text, TEXT, font, anchor="lm")
        x += round(font.getlength(text)) + 3 * GAP


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The scalable font that comes with Pillow."""
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]
