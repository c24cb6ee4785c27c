"""People as the tracker's template branch sees them: of the packaged videos, and real ones of COCO where they are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from armory_skelevision.attacks.keypoints.pose import cut_template
from armory_skelevision.datasets.coco import FEWEST_KEYPOINTS, read_coco
from armory_skelevision.io.images import read_image
from armory_skelevision.models import SiameseEstimator
from benchmarks.walkers import walkers


class Crops(NamedTuple):
    """Template crops of N people.

    Attributes:
        pictures: (N, 127, 127, 3) RGB in [0, 1].
        keypoints: (N, 17, 3) in crop pixels.
        boxes_xyxy: (N, 4) likewise.
        sources: (N,) number of the video or picture that each is from.
    """

    pictures: np.ndarray
    keypoints: np.ndarray
    boxes_xyxy: np.ndarray
    sources: np.ndarray

    def take(self, chosen: np.ndarray) -> Crops:
        """Some of them, by numbers or a mask."""
        return Crops(*(values[chosen] for values in self))

    def labels(self) -> list[dict[str, np.ndarray]]:
        """As the metrics want them."""
        return [
            {"boxes": box[None], "keypoints": points}
            for box, points in zip(self.boxes_xyxy, self.keypoints, strict=True)
        ]


Shown = tuple[np.ndarray, np.ndarray, np.ndarray, int]


def walker_crops(tracker: SiameseEstimator, split: str, every: int, videos: int | None) -> Crops:
    """Every nth frame of a split as a template."""
    shown: list[Shown] = []
    for number, scene in enumerate(walkers(split, videos)):
        boxes_xyxy, keypoints = scene.y[0]["boxes"], scene.metadata[0]["keypoints"]
        for frame in range(0, len(boxes_xyxy), every):
            if (keypoints[frame, :, 2] > 0).any():
                shown.append((scene.x[0, frame], boxes_xyxy[frame], keypoints[frame], number))
    return _cut(tracker, shown)


def coco_crops(tracker: SiameseEstimator, folder: Path) -> Crops | None:
    """The people with six keypoints or more in real pictures: COCO's own JSON, and YOLO's text form; None if absent."""
    annotations = folder / "coco_val_mini" / "test_coco.json"
    shown = _read_annotations(annotations, annotations.parent) if annotations.is_file() else []
    for label in sorted((folder / "coco8_pose" / "labels").glob("*/*.txt")):
        picture = _read(folder / "coco8_pose" / "images" / label.parent.name / f"{label.stem}.jpg")
        shown += [
            (picture, box, points, len(shown)) for box, points in _read_yolo(label, picture.shape[1], picture.shape[0])
        ]
    return _cut(tracker, shown) if shown else None


def annotated_crops(tracker: SiameseEstimator, annotations: Path, images: Path) -> Crops:
    """The people with six keypoints or more in a file of COCO's format."""
    return _cut(tracker, _read_annotations(annotations, images))


def _read_annotations(annotations: Path, images: Path) -> list[Shown]:
    people = [person for part in read_coco(annotations, images).parts.values() for person in part]
    return [(_read(each.picture), each.box_xyxy, each.keypoints, number) for number, each in enumerate(people)]


def _read(path: Path) -> np.ndarray:
    return np.asarray(read_image(path) / 255, np.float32)


def _read_yolo(path: Path, width: int, height: int) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        numbers = np.array(line.split(), dtype=np.float32)
        cx, cy, w, h = numbers[1:5] * (width, height, width, height)
        points = numbers[5:].reshape(17, 3) * (width, height, 1)
        if (points[:, 2] > 0).sum() >= FEWEST_KEYPOINTS:
            box = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], np.float32)
            found.append((box, points.astype(np.float32)))
    return found


def _cut(tracker: SiameseEstimator, shown: list[Shown]) -> Crops:
    crops = []
    for picture, box_xyxy, keypoints, source in shown:
        # The corners of the box are mapped like keypoints.
        corners = np.concatenate([box_xyxy.reshape(2, 2), np.ones((2, 1))], axis=1).astype(np.float32)
        crop, points = cut_template(tracker, picture, box_xyxy, np.concatenate([keypoints, corners]))
        crops.append((crop, points[:17], points[17:, :2].reshape(4), source))
    return Crops(*(np.stack(values) for values in zip(*crops, strict=True)))
