"""DAVIS 2016 and 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017): masks, of which the bounding boxes are taken.

``JPEGImages/480p/NAME/00000.jpg`` is a frame, ``Annotations/480p/NAME/00000.png`` its mask: 0 is background, every
other value an object, 255 the only object of DAVIS 2016 and unknown pixels beside objects of other values. A video with
several objects is several sequences, ``NAME-1``, ``NAME-2`` and so on by the objects' values. Other resolutions
(``Full-Resolution``, ``1080p``) are read where there is no ``480p``.

Absent targets: DAVIS measures masks and prescribes nothing for boxes; frames without the object are left out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.image_folders import numbered_images, take_range
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, check_count, merge, to_xyxy
from armory_skelevision.io import list_folder, printable
from armory_skelevision.io.images import read_label_image, read_size
from armory_skelevision.validation import InvalidValueError, MissingFileError

FRAME_RATE = 24.0
RESOLUTIONS = ("480p", "Full-Resolution", "1080p")
UNKNOWN = 255
"""Value of pixels that may belong to any object, where objects have other values."""


def find(root: Path) -> Readers:
    """The sequences of the benchmark's folder. The first mask of each video is read for its objects."""
    size = next((size for size in RESOLUTIONS if (root / "Annotations" / size).is_dir()), None)
    if size is None:
        expected = f"a folder Annotations/{RESOLUTIONS[0]} with the masks"
        raise MissingFileError(printable(root), expected, "none", 'name the folder of DAVIS as "root"')
    readers: list[tuple[str, partial[ImageSequence]]] = []
    for masks in list_folder(root / "Annotations" / size):
        if masks.is_dir() and not masks.name.startswith("."):
            first = next(iter(numbered_images(masks).values()))
            values = _objects(read_label_image(first, root))
            several = len(values) > 1
            names = {value: f"{masks.name}-{value}" if several else masks.name for value in values}
            images = root / "JPEGImages" / size / masks.name
            readers += [(name, partial(_read, name, images, masks, value, root)) for value, name in names.items()]
    return merge(root, readers)


def _read(name: str, images: Path, masks: Path, value: int, root: Path) -> ImageSequence:
    numbered, labels = numbered_images(images), numbered_images(masks)
    frames = take_range(images, numbered, 0, max(numbered))
    check_count(masks, len(labels), len(frames), "masks")
    files = take_range(masks, labels, 0, max(numbered))
    size = read_size(frames[0])
    boxes_xywh = [_find_box(_read_mask(path, size, root) == value) for path in files]
    return ImageSequence(name, frames, masks, to_xyxy(masks, boxes_xywh), FRAME_RATE)


def _read_mask(path: Path, size: tuple[int, int], root: Path) -> NDArray[np.uint8]:
    """A mask, which must be as large as the frames: width and height (`InvalidValueError`)."""
    labels = read_label_image(path, root)
    height, width = labels.shape
    if (width, height) != size:
        raise InvalidValueError(printable(path), f"{size[0]}×{size[1]} pixels as in the frames", f"{width}×{height}")
    return labels


def _objects(labels: NDArray[np.uint8]) -> list[int]:
    """The values of the objects in a mask, ascending."""
    values = [int(value) for value in np.unique(labels) if value]
    return [value for value in values if value != UNKNOWN] if len(values) > 1 else values


def _find_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """The box x, y, w, h around the pixels of a mask (H, W); None for none."""
    if not mask.any():
        return None
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1]) + 1 - left, float(rows[-1]) + 1 - top
