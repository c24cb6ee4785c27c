"""Miniatures of benchmarks, laid out as they are published: four frames of noise, 64 wide and 48 high."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

BOXES_XYWH = [(10, 8, 20, 30), (11, 8, 20, 30), (12.5, 9, 20, 29), (14, 9, 20, 30)]
NAMES = {
    "otb": "Crossing",
    "got10k": "GOT-10k_Val_000001",
    "lasot": "person-1",
    "uav123": "person1",
    "trackingnet": "abc_1",
    "vot": "ants1",
    "davis": "bear",
}
"""The sequence of each layout, by the layout."""

TRUTHS = {
    "otb": "Crossing/groundtruth_rect.txt",
    "got10k": "GOT-10k_Val_000001/groundtruth.txt",
    "lasot": "person/person-1/groundtruth.txt",
    "uav123": "anno/UAV123/person1.txt",
    "trackingnet": "anno/abc_1.txt",
    "vot": "ants1/groundtruth.txt",
}
"""The file of the sequence's true boxes."""

IMAGES = {
    "otb": "Crossing/img/%04d.jpg",
    "got10k": "GOT-10k_Val_000001/%08d.jpg",
    "lasot": "person/person-1/img/%08d.jpg",
    "uav123": "data_seq/UAV123/person1/%06d.jpg",
    "trackingnet": "frames/abc_1/%d.jpg",
    "vot": "ants1/color/%08d.jpg",
    "davis": "JPEGImages/480p/bear/%05d.jpg",
}
"""The images' files."""

FIRST = {"trackingnet": 0, "davis": 0}
"""Number of the first image, where it is not 1."""


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (64, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)


def lines(rows: Sequence[Sequence[float]], separator: str = ",") -> str:
    return "".join(separator.join(f"{value:g}" for value in row) + "\n" for row in rows)


def write_layout(root: Path, layout: str, frames: int = 4) -> Path:
    """Write the miniature of a layout; returns the folder of the data set."""
    first = FIRST.get(layout, 1)
    for number in range(first, first + frames):
        write_image(root / (IMAGES[layout] % number), number)
    rows = BOXES_XYWH[:frames]
    if layout in TRUTHS:
        truth = root / TRUTHS[layout]
        truth.parent.mkdir(parents=True, exist_ok=True)
        one_based = [(x + 1, y + 1, w, h) for x, y, w, h in rows]
        truth.write_text(lines(one_based, "\t") if layout == "otb" else lines(rows))
    _FURTHER.get(layout, lambda root, frames: None)(root, frames)
    return root


def write_mask(path: Path, labels: dict[int, tuple[int, int, int, int]]) -> None:
    """A mask as DAVIS 2017 has it: values with a palette, here one rectangle x, y, w, h for each."""
    from PIL import Image

    mask = np.zeros((48, 64), np.uint8)
    for value, (x, y, w, h) in labels.items():
        mask[y : y + h, x : x + w] = value
    image = Image.fromarray(mask, "P")
    image.putpalette([each for value in range(256) for each in (value, 255 - value, value // 2)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _got10k(root: Path, frames: int) -> None:
    folder = root / NAMES["got10k"]
    (folder / "absence.label").write_text("0\n" * frames)
    (folder / "cover.label").write_text("8\n" * frames)
    (folder / "cut_by_image.label").write_text("0\n" * frames)
    (folder / "meta_info.ini").write_text("[METAINFO]\nurl: none\nanno_fps: 10Hz\nresolution: (64, 48)\n")
    (root / "list.txt").write_text(f"{folder.name}\n")


def _lasot(root: Path, frames: int) -> None:
    for name in ("full_occlusion.txt", "out_of_view.txt"):
        (root / "person/person-1" / name).write_text(",".join("0" * frames))
    (root / "person/person-1/nlp.txt").write_text("a person")


def _vot(root: Path, frames: int) -> None:
    truth = root / TRUTHS["vot"]
    corners = [(x, y, x + w, y, x + w, y + h, x, y + h) for x, y, w, h in BOXES_XYWH[: frames - 1]]
    truth.write_text(lines(corners) + lines(BOXES_XYWH[frames - 1 : frames]))
    (truth.parent / "occlusion.tag").write_text("0\n" * frames)
    (root / "list.txt").write_text("ants1\n")


def _davis(root: Path, frames: int) -> None:
    for number, (x, y, w, h) in enumerate(BOXES_XYWH[:frames]):
        write_mask(root / f"Annotations/480p/bear/{number:05d}.png", {1: (round(x), y, w, h)})
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("bear\n")


_FURTHER = {"got10k": _got10k, "lasot": _lasot, "vot": _vot, "davis": _davis}
