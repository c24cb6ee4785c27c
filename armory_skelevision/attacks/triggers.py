"""The trigger of a backdoor: a small picture on the tracked person, rendered as a print on the chest would look.

Convention: pictures and frames are RGB in [0, 1]; boxes are xyxy in pixels, measured at pixel edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io.images import read_image
from armory_skelevision.validation import Fraction, InvalidValueError, PathText, Range, Seed, Settings, StructuredError

Picture = NDArray[np.float32]

# Distance of the camera in half sides of the trigger; the smaller, the stronger the perspective.
CAMERA_DISTANCE = 12.0
# Bounds of the shading relative to the mean brightness of the place.
SHADES = (0.6, 1.4)
# Least brightness of the light that falls on the trigger.
DARKEST = 0.25


class TriggerPose(NamedTuple):
    """How the trigger is rotated relative to the camera, radians."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class Trigger(Settings):
    """The picture of a trigger, its size and its place on the person.

    Attributes:
        picture: A picture file; None for a pattern of coloured squares drawn from the seed.
        seed: Seed of the pattern; with a picture, only 0.
        cells: Number of squares along each side of the pattern, 1 to 16.
        area: Area of the trigger when it faces the camera, as a share of the box's area, in (0, 0.25].
        place: Centre of the trigger in widths and heights of the box, from its upper left corner.
    """

    picture: PathText | None = None
    seed: Seed = 0
    cells: Annotated[int, Range(1, 16)] = 3
    area: Annotated[float, Range(0, 0.25, without_low=True)] = 0.015
    place: tuple[Fraction, Fraction] = (0.5, 0.35)

    def check(self) -> None:
        """Refuse a seed beside a picture, which nothing is drawn for (`InvalidValueError`)."""
        if self.picture is not None and self.seed != 0:
            raise InvalidValueError(
                "seed", "0 with a picture, which it has no effect on", str(self.seed), "leave it out"
            )

    def draw(self) -> Picture:
        """The picture of the trigger, (s, s, 3) float32, RGB in [0, 1].

        Raises:
            MissingFileError: If there is no file ``picture``.
            InvalidValueError: If that file is not a picture.
        """
        if self.picture is None:
            colours = np.random.default_rng(self.seed).integers(0, 2, (self.cells, self.cells, 3))
            side = 48 // self.cells + 1
            return np.kron(colours, np.ones((side, side, 1))).astype(np.float32)
        try:
            read = read_image(self.picture)
        except StructuredError as error:
            raise error.named_by("trigger.picture") from None
        small = cv2.resize(read, (64, 64), interpolation=cv2.INTER_AREA)
        return np.asarray(small / 255, np.float32)

    def corners_xy(self, box_xyxy: NDArray[Any], pose: TriggerPose = TriggerPose()) -> NDArray[np.float64]:  # noqa: B008
        """The corners of the trigger on a person with the box (4,), in pixels.

        Returns:
            (4, 2), x and y in pixels: top left, top right, bottom right, bottom left.
        """
        x1, y1, x2, y2 = np.asarray(box_xyxy, np.float64)
        half = np.sqrt(self.area * (x2 - x1) * (y2 - y1)) / 2
        square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
        rotated = square @ _rotation(pose).T
        projected = rotated[:, :2] / (1 + rotated[:, 2:] / CAMERA_DISTANCE)
        centre = np.array([x1 + self.place[0] * (x2 - x1), y1 + self.place[1] * (y2 - y1)])
        return np.asarray(centre + half * projected, np.float64)


def paste(frame: Picture, picture: Picture, corners_xy: NDArray[np.float64]) -> Picture:
    """Paste a picture into a frame as a print: in perspective, lit like its place, with antialiased edges.

    The light is estimated from the frame: its level from the brightest pixels around the print, and its shading from
    the smoothed brightness underneath.

    Args:
        frame: (H, W, 3), RGB in [0, 1].
        picture: (s, s, 3), RGB in [0, 1].
        corners_xy: (4, 2) in pixels, see `Trigger.corners_xy`; may lie outside the frame.

    Returns:
        A new frame (H, W, 3), RGB in [0, 1].
    """
    height, width = frame.shape[:2]
    low = np.floor(corners_xy.min(axis=0)).astype(int) - 2
    high = np.ceil(corners_xy.max(axis=0)).astype(int) + 2
    (x1, y1), (x2, y2) = np.maximum(low, 0), np.minimum(high, (width, height))
    result = frame.copy()
    if x1 >= x2 or y1 >= y2:
        return result
    part = frame[y1:y2, x1:x2]
    projected, opacity = _project(picture, corners_xy - (x1, y1), (x2 - x1, y2 - y1))
    around = frame[max(2 * y1 - y2, 0) : 2 * y2 - y1, max(2 * x1 - x2, 0) : 2 * x2 - x1]
    lit = np.minimum(projected * _light(part, around), 1)
    result[y1:y2, x1:x2] = part + opacity[..., None] * (lit - part)
    return result


def _rotation(pose: TriggerPose) -> NDArray[np.float64]:
    (cy, cp, cr), (sy, sp, sr) = np.cos(pose), np.sin(pose)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(yaw @ pitch @ roll)


def _project(
    picture: Picture, corners_xy: NDArray[np.float64], size_wh: tuple[int, int], supersampling: int = 4
) -> tuple[Picture, Picture]:
    """The picture on a canvas (h, w, 3), and its coverage of each pixel (h, w) in [0, 1].

    Supersampled: a print that is a few pixels wide must not depend on its place relative to the pixel grid.
    """
    side = picture.shape[0]
    from_xy = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    # OpenCV's coordinates start at pixel centres, ours at pixel edges.
    to_xy = (corners_xy * supersampling).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(from_xy - 0.5, to_xy - 0.5)
    fine = (int(size_wh[0]) * supersampling, int(size_wh[1]) * supersampling)
    drawn = cv2.warpPerspective(picture, matrix, fine, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opaque = cv2.warpPerspective(
        np.ones((side, side), np.float32), matrix, fine, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    size = (int(size_wh[0]), int(size_wh[1]))
    colours = cv2.resize(drawn * opaque[..., None], size, interpolation=cv2.INTER_AREA)
    opacity = cv2.resize(opaque, size, interpolation=cv2.INTER_AREA)
    return np.asarray(colours / np.maximum(opacity, 1e-6)[..., None], np.float32), opacity


def _light(part: Picture, around: Picture) -> Picture:
    """The light on each pixel of a print, (h, w, 1), by which its colours are multiplied.

    ``part`` is the frame under the print, (h, w, 3), and ``around`` the frame under and around it, (h', w', 3).
    """
    level = max(float(np.quantile(around.max(axis=2), 0.9)), DARKEST)
    brightness = part.max(axis=2)
    soft = cv2.GaussianBlur(brightness, (0, 0), max(min(brightness.shape) / 4, 0.5))
    shades = np.clip(soft / max(float(soft.mean()), 1e-3), *SHADES)
    return np.asarray((level * shades)[..., None], np.float32)
