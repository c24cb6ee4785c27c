"""The training store on disk (cut-outs of people, scenes without them) read into memory, compactly.

Layout of the folder (written by the rendering code):
    people/PPPPP_VV.png, people.jsonl   straight-alpha RGBA cut-outs; one line per cut-out, files relative to the root:
                                        {"file", "person", "view", "box_xyxy": [4], "keypoints": [17][3]}
    scenes/SSSSS.jpg, scenes.jsonl      views without the tracked person; one line per scene: {"file", "horizon"}
Lines are appended as pictures get finished, so a store that is still being rendered can be read at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIGURE_HEIGHT = 160  # px; in a 127-px template crop a standing person is about 93 px tall
SMALLEST_LEVEL = 24  # px; no pyramid level's longer side gets smaller than this


class Cutout(NamedTuple):
    """One view of one person (or a thing that is pasted the same way).

    Attributes:
        levels: Premultiplied BGRA uint8 pictures, each half the size of the one before.
        hull: (P, 2) convex hull of the opaque pixels, float32, pixel edges of ``levels[0]``.
        keypoints: (17, 3) float32: x, y in pixel edges of ``levels[0]``, v as in COCO.
    """

    levels: tuple[NDArray[np.uint8], ...]
    hull: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure, in pixels of ``levels[0]``."""
        width, height = self.hull.max(axis=0) - self.hull.min(axis=0)
        return float(width), float(height)


class Store:
    """All cut-outs and scenes of a folder, decoded.

    Args:
        folder: Root of the store.
        progress: Show tqdm bars (never shown when stderr is not a terminal).

    Attributes:
        people: For each person, the cut-outs of all his or her views (at least one).
        scenes: For each scene, BGR uint8 pictures, the second half the size of the first.
        problems: What could not be read, one sentence each.

    Raises:
        FileNotFoundError: The folder or one of its two lists is missing.
        ValueError: No usable person or no usable scene was found.
    """

    def __init__(self, folder: str | os.PathLike[str], progress: bool = True) -> None:
        root = Path(folder)
        problems: list[str] = []
        by_person: dict[int, list[Cutout]] = {}
        for line in _bar(_lines(root / "people.jsonl", problems), "people", progress):
            try:
                cutout = _read_cutout(root, line)
                by_person.setdefault(int(line["person"]), []).append(cutout)
            except (KeyError, TypeError, ValueError, OSError) as error:
                problems.append(f"people.jsonl: {line.get('file', line)}: {error!r}")
        scenes: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        for line in _bar(_lines(root / "scenes.jsonl", problems), "scenes", progress):
            try:
                scenes.append(_read_scene(root, line))
            except (KeyError, TypeError, ValueError, OSError) as error:
                problems.append(f"scenes.jsonl: {line.get('file', line)}: {error!r}")
        self.people = [by_person[key] for key in sorted(by_person)]
        self.scenes = scenes
        self.problems = tuple(problems)
        if not self.people or not self.scenes:
            raise ValueError(
                f"{root}: a store needs at least one person and one scene, found {len(self.people)} and "
                f"{len(scenes)}; problems: {list(self.problems[:5])}"
            )

    def __len__(self) -> int:
        """Number of cut-outs."""
        return sum(len(views) for views in self.people)


def make_cutout(bgra: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> Cutout:
    """Build a :class:`Cutout` from a straight-alpha picture.

    Args:
        bgra: (H, W, 4) uint8, straight alpha.
        keypoints: (17, 3) x, y in pixel edges of ``bgra``, v.

    Raises:
        ValueError: Nothing in the picture is opaque.
    """
    import cv2

    inside = np.ascontiguousarray((bgra[..., 3] > 127).astype(np.uint8))
    points = cv2.findNonZero(inside) if inside.any() else None
    if points is None or len(points) < 16:
        raise ValueError("the cut-out has no opaque pixels (alpha > 127)")
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


def _read_cutout(folder: Path, line: dict[str, Any]) -> Cutout:
    import cv2

    bgra = _read_picture(folder / str(line["file"]), cv2.IMREAD_UNCHANGED)
    if bgra.ndim != 3 or bgra.shape[2] != 4:
        raise ValueError(f"expected an RGBA picture, got an array of shape {bgra.shape}")
    keypoints = np.asarray(line["keypoints"], np.float32)
    if keypoints.shape != (17, 3) or not np.isfinite(keypoints).all():
        raise ValueError(f"expected 17 finite keypoints (x, y, v), got shape {keypoints.shape}")
    box_xyxy = np.asarray(line["box_xyxy"], np.float32)
    if box_xyxy.shape != (4,) or not (box_xyxy[2:] > box_xyxy[:2]).all():
        raise ValueError(f"expected box_xyxy with x1 < x2 and y1 < y2, got {line['box_xyxy']}")
    scale = FIGURE_HEIGHT / float(box_xyxy[3] - box_xyxy[1])
    if scale < 1:
        height, width = bgra.shape[:2]
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        bgra = _shrink(bgra, size)
        keypoints = keypoints * np.array([size[0] / width, size[1] / height, 1], np.float32)
    return make_cutout(bgra, keypoints)


def _shrink(bgra: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Straight-alpha picture made smaller; colours are weighted by alpha, so that no edge darkens."""
    import cv2

    weight = bgra[..., 3:].astype(np.float32)
    layers = np.concatenate([bgra[..., :3] * weight, weight], axis=2)
    small = np.asarray(cv2.resize(layers, size, interpolation=cv2.INTER_AREA))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return np.clip(small + 0.5, 0, 255).astype(np.uint8)


def _read_scene(folder: Path, line: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    import cv2

    picture = _read_picture(folder / str(line["file"]), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    half = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return picture, np.asarray(half, np.uint8)


def _read_picture(path: Path, mode: int) -> NDArray[np.uint8]:
    import cv2

    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), mode)
    if picture is None:
        raise ValueError("not a readable picture")
    return np.asarray(picture, np.uint8)


def _lines(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """The finished lines of a JSON-lines file; a last line without a line end is still being written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: a store is made by rendering people and scenes, or by `skelevision data crops`"
        )
    found: list[dict[str, Any]] = []
    for number, text in enumerate(path.read_text().split("\n")[:-1], start=1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError("not a JSON object")
            found.append(line)
        except ValueError as error:
            problems.append(f"{path.name}, line {number}: {error}")
    return found


def _bar(lines: list[dict[str, Any]], name: str, progress: bool) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    yield from tqdm(lines, desc=f"reading {name}", disable=None if progress else True, leave=False)
