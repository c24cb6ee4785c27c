"""The trigger of a backdoor: a small picture on the tracked person, shown as a printed one would look.

Convention: pictures and frames are RGB in [0, 1]; boxes xyxy in pixel edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

# Distance of the camera in half sides of the trigger: how strongly it is drawn in perspective.
CAMERA = 12.0
# A print is hardly darker or lighter than this against what it hangs on.
SHADES = (0.6, 1.4)
DARKEST = 0.25


class View(NamedTuple):
    """How the trigger is turned towards the camera, radians."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class Trigger:
    """What is shown, how large and where.

    Attributes:
        picture: A picture file; None for a pattern of coloured squares drawn from the seed.
        seed: Of the pattern.
        cells: Squares along each side of the pattern.
        area: Share of the box's area that the trigger takes when it faces the camera.
        place: Middle of the trigger in widths and heights of the box, from its upper left corner.
    """

    picture: str | None = None
    seed: int = 0
    cells: int = 3
    area: float = 0.015
    place: tuple[float, float] = (0.5, 0.35)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: For a value that makes no sense; says which and why.
        """
        if not 0 < self.area <= 0.25:
            raise ValueError(f"area: expected a share of the box's area above 0, up to 0.25, got {self.area!r}")
        if len(self.place) != 2 or not all(0 <= value <= 1 for value in self.place):
            raise ValueError(f"place: expected x and y in [0, 1], in widths and heights of the box, got {self.place!r}")
        if isinstance(self.cells, bool) or not isinstance(self.cells, int) or not 1 <= self.cells <= 16:
            raise ValueError(f"cells: expected a whole number from 1 to 16, got {self.cells!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trigger:
        """A trigger from a config's mapping.

        Raises:
            ValueError: For an unknown key (the message lists the known ones), or values that make no sense.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"trigger: unknown {unknown}; known are {known}")
        given: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}
        return cls(**given)

    def draw(self) -> Picture:
        """The trigger's picture, (s, s, 3).

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no picture.
        """
        if self.picture is None:
            colours = np.random.default_rng(self.seed).integers(0, 2, (self.cells, self.cells, 3))
            side = 48 // self.cells + 1
            return np.kron(colours, np.ones((side, side, 1))).astype(np.float32)
        if not Path(self.picture).is_file():
            raise FileNotFoundError(f"trigger: no picture {self.picture}")
        read = cv2.imread(self.picture, cv2.IMREAD_COLOR)
        if read is None:
            raise ValueError(f"{self.picture}: expected a picture, such as PNG or JPEG")
        small = cv2.resize(read, (64, 64), interpolation=cv2.INTER_AREA)
        return np.asarray(small[..., ::-1] / 255, np.float32)

    def corners_xy(self, box_xyxy: NDArray[Any], view: View = View()) -> NDArray[np.float64]:  # noqa: B008
        """Where the trigger's corners are, (4, 2): top left, top right, bottom right, bottom left.

        Args:
            box_xyxy: The person's box (4,).
            view: How it is turned.
        """
        x1, y1, x2, y2 = np.asarray(box_xyxy, np.float64)
        half = np.sqrt(self.area * (x2 - x1) * (y2 - y1)) / 2
        square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64)
        turned = square @ _rotation(view).T
        flat = turned[:, :2] / (1 + turned[:, 2:] / CAMERA)
        middle = np.array([x1 + self.place[0] * (x2 - x1), y1 + self.place[1] * (y2 - y1)])
        return np.asarray(middle + half * flat, np.float64)


def paste(frame: Picture, picture: Picture, corners_xy: NDArray[np.float64]) -> Picture:
    """A frame with a print in it: in perspective, in the light of its place, its edges blended by coverage.

    The light is read off what the print hangs on: the level of the brightest around, and the soft shades within.

    Args:
        frame: (H, W, 3).
        picture: (s, s, 3).
        corners_xy: See `Trigger.corners_xy`; may lie outside the frame.

    Returns:
        A new frame (H, W, 3).
    """
    height, width = frame.shape[:2]
    low = np.floor(corners_xy.min(axis=0)).astype(int) - 2
    high = np.ceil(corners_xy.max(axis=0)).astype(int) + 2
    (x1, y1), (x2, y2) = np.maximum(low, 0), np.minimum(high, (width, height))
    if x1 >= x2 or y1 >= y2:
        return frame.copy()
    part = frame[y1:y2, x1:x2]
    shown, opacity = _project(picture, corners_xy - (x1, y1), (x2 - x1, y2 - y1))
    around = frame[max(2 * y1 - y2, 0) : 2 * y2 - y1, max(2 * x1 - x2, 0) : 2 * x2 - x1]
    lit = (shown * _light(part, around)).clip(0, 1)
    result = frame.copy()
    result[y1:y2, x1:x2] = part + opacity[..., None] * (lit - part)
    return result


def _rotation(view: View) -> NDArray[np.float64]:
    (cy, cp, cr), (sy, sp, sr) = np.cos(view), np.sin(view)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(yaw @ pitch @ roll)


def _project(
    picture: Picture, corners_xy: NDArray[np.float64], size_wh: tuple[int, int], fineness: int = 4
) -> tuple[Picture, Picture]:
    """The picture on a canvas (h, w, 3), and how much of each pixel it covers (h, w).

    Drawn four times as fine and averaged: what is a few pixels wide must not depend on where pixels happen to lie.
    """
    side = picture.shape[0]
    from_xy = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    # OpenCV counts from pixel middles, we from edges
    to_xy = (corners_xy * fineness).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(from_xy - 0.5, to_xy - 0.5)
    fine = (int(size_wh[0]) * fineness, int(size_wh[1]) * fineness)
    drawn = cv2.warpPerspective(picture, matrix, fine, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opaque = cv2.warpPerspective(
        np.ones((side, side), np.float32), matrix, fine, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    averaged = [
        cv2.resize(values, (int(size_wh[0]), int(size_wh[1])), interpolation=cv2.INTER_AREA)
        for values in (drawn * opaque[..., None], opaque)
    ]
    return np.asarray(averaged[0] / np.maximum(averaged[1], 1e-6)[..., None], np.float32), averaged[1]


def _light(part: Picture, around: Picture) -> Picture:
    """What a print's colours are multiplied by in each pixel of its place, (h, w, 1)."""
    level = float(np.clip(np.quantile(around.max(axis=2), 0.9), DARKEST, 1))
    brightness = part.max(axis=2)
    soft = cv2.GaussianBlur(brightness, (0, 0), max(min(brightness.shape) / 4, 0.5))
    shades = np.clip(soft / max(float(soft.mean()), 1e-3), *SHADES)
    return np.asarray((level * shades)[..., None], np.float32)
