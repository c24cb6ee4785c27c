"""The store of rendered cut-outs of people and of scenes without the target, read into memory.

Layout of the folder (written by the renderer):
    people/PPPPP_VV.png, people.jsonl   straight-alpha RGBA cut-outs; one line per cut-out, files relative to the root:
                                        {"file", "person", "view", "box_xyxy": [4], "keypoints": [17][3]}, and
                                        "source", the data set, for cut-outs of real people
    scenes/SSSSS.jpg, scenes.jsonl      views without the tracked person; one line per scene: {"file", "horizon"}
Lines are appended as images are finished, so a store can be read while it is being rendered. Images are read only from
inside the folder, and each of them once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.numbers import as_array
from armory_skelevision.io import leads_out, parse_json, printable, progress, read_text
from armory_skelevision.io.images import read_cutout, read_image
from armory_skelevision.training.data.pair import Picture
from armory_skelevision.validation import (
    InvalidValueError,
    MissingFileError,
    StructuredError,
    WholeNumber,
    check_value,
)

FIGURE_HEIGHT = 160  # pixels; in a template crop of 127 pixels a standing person is about 93 pixels tall
SMALLEST_LEVEL = 24  # pixels; smallest longer side of a pyramid level

SceneImages = tuple[Picture, Picture]
"""A scene in full size and in half size."""

_T = TypeVar("_T")


class Cutout(NamedTuple):
    """One view of a person or an object, with transparency."""

    levels: tuple[NDArray[np.uint8], ...]
    """Image pyramid (h, w, 4), premultiplied BGRA uint8, each level half the size of the one before."""
    hull: NDArray[np.float32]
    """(P, 2) float32, convex hull of the opaque pixels, in pixel edges of ``levels[0]``."""
    keypoints: NDArray[np.float32]
    """(17, 3) float32: x, y in pixel edges of ``levels[0]``, v as in COCO."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure, in pixels of ``levels[0]``."""
        width, height = self.hull.max(axis=0) - self.hull.min(axis=0)
        return float(width), float(height)


class RenderedStore:
    """All cut-outs and scenes of a folder, decoded.

    Args:
        folder: Root of the store.

    Attributes:
        people: For each person, the cut-outs of all views (at least one).
        scenes: For each scene, its images in full and half size.
        problems: Entries that could not be read and why, one line each; the first is shown as a warning, too.

    Raises:
        MissingFileError: If the folder or one of its two lists is missing.
        InvalidValueError: If there is no usable person or no usable scene.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        root = Path(folder)
        problems: list[str] = []
        by_person: dict[int, list[Cutout]] = {}
        for person, cutout in _read_all(root, "people", _read_cutout, problems):
            by_person.setdefault(person, []).append(cutout)
        self.people = [by_person[key] for key in sorted(by_person)]
        self.scenes = list(_read_all(root, "scenes", _read_scene, problems))
        self.problems = tuple(problems)
        if problems:
            warnings.warn(f"{root}: {len(problems)} entries are left out, the first: {problems[0]}", stacklevel=2)
        if not self.people or not self.scenes:
            found = f"{len(self.people)} and {len(self.scenes)}, with the problems {list(self.problems[:5])}"
            raise InvalidValueError(printable(root), "at least one usable person and one scene", found)


def read_sources(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """The data sets that cut-outs of real people in a store are from; none for a store of rendered people alone."""
    return tuple(
        sorted({str(line["source"]) for line in _lines(Path(folder) / "people.jsonl", []) if "source" in line})
    )


def make_cutout(bgra: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> Cutout:
    """Build a cut-out from an image (H, W, 4) with straight alpha, and keypoints (17, 3) in its pixel edges.

    Raises:
        InvalidValueError: If fewer than 16 pixels are opaque.
    """
    inside = np.ascontiguousarray((bgra[..., 3] > 127).astype(np.uint8))
    points = cv2.findNonZero(inside) if inside.any() else None
    if points is None or len(points) < 16:
        raise InvalidValueError("cut-out", "at least 16 opaque pixels (alpha > 127)", "fewer")
    centres = cv2.convexHull(points).reshape(-1, 2).astype(np.float32)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    hull = (centres[:, None] + corners[None]).reshape(-1, 2)
    alpha = bgra[..., 3:].astype(np.uint16)
    colour = ((bgra[..., :3] * alpha + 127) // 255).astype(np.uint8)
    levels = [np.ascontiguousarray(np.concatenate([colour, bgra[..., 3:]], axis=2))]
    while max(levels[-1].shape[:2]) >= 2 * SMALLEST_LEVEL:
        height, width = levels[-1].shape[:2]
        half = (max(1, width // 2), max(1, height // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA), np.uint8))
    return Cutout(tuple(levels), hull.astype(np.float32), np.asarray(keypoints, np.float32).reshape(17, 3))


def add_half(picture: Picture) -> SceneImages:
    """A picture and the same in half size."""
    half = cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return picture, np.asarray(half, np.uint8)


def _read_cutout(folder: Path, line: dict[str, Any]) -> tuple[int, Cutout]:
    """The number of a person and a cut-out of it."""
    bgra = np.ascontiguousarray(read_cutout(_find(folder, line))[..., [2, 1, 0, 3]])
    check_value("person", line.get("person"), WholeNumber)
    keypoints = as_array("keypoints", line.get("keypoints"), (17, 3)).astype(np.float32)
    box_xyxy = as_array("box_xyxy", line.get("box_xyxy"), (4,)).astype(np.float32)
    if not (box_xyxy[2:] > box_xyxy[:2]).all():
        raise InvalidValueError("box_xyxy", "x1 < x2 and y1 < y2", str(line["box_xyxy"]))
    scale = FIGURE_HEIGHT / float(box_xyxy[3] - box_xyxy[1])
    if scale < 1:
        height, width = bgra.shape[:2]
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        bgra = _shrink(bgra, size)
        keypoints = keypoints * np.array([size[0] / width, size[1] / height, 1], np.float32)
    return int(line["person"]), make_cutout(bgra, keypoints)


def _shrink(bgra: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Shrink an image with straight alpha. Colours are weighted by alpha, so that edges do not darken."""
    weight = bgra[..., 3:].astype(np.float32)
    layers = np.concatenate([bgra[..., :3] * weight, weight], axis=2)
    small = np.asarray(cv2.resize(layers, size, interpolation=cv2.INTER_AREA))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return np.clip(small + 0.5, 0, 255).astype(np.uint8)


def _read_scene(folder: Path, line: dict[str, Any]) -> SceneImages:
    return add_half(np.ascontiguousarray(read_image(_find(folder, line))[..., ::-1]))


def _find(folder: Path, line: dict[str, Any]) -> Path:
    name = line.get("file")
    check_value("file", name, str)
    path = folder / str(name)
    if "\0" in str(name) or leads_out(path, folder):
        raise InvalidValueError("file", "an image inside of the store", repr(name)[:80])
    return path


def _read_all(folder: Path, name: str, read: Callable[[Path, dict[str, Any]], _T], problems: list[str]) -> Iterator[_T]:
    """Read what a list of the store names, except for what cannot be read, which is added to the problems."""
    file = f"{name}.jsonl"
    seen: set[str] = set()
    for line in progress(_lines(folder / file, problems), desc=f"reading {name}"):
        try:
            item = read(folder, line)
            if line["file"] in seen:
                raise InvalidValueError("file", "another image in each line", repr(line["file"])[:80])
        except StructuredError as error:
            problems.append(f"{file}: {line.get('file', line)!s:.80}: {error}")
        else:
            seen.add(line["file"])
            yield item


def _lines(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """The complete lines of a JSON-lines file; a last line without a line end is still being written."""
    if not path.is_file():
        fix = "render people and scenes, or cut crops with `skelevision data crops`"
        raise MissingFileError(printable(path), "a list of the store", "no such file", fix)
    found: list[dict[str, Any]] = []
    for number, text in enumerate(read_text(path).split("\n")[:-1], start=1):
        try:
            line = parse_json(text)
            if not isinstance(line, dict):
                raise ValueError("not a JSON object")
            found.append(line)
        except ValueError as error:
            problems.append(f"{path.name}, line {number}: {error}")
    return found
