"""Crops on disk: one safetensors file for some hundreds of them, with their JPEG files and annotations.

Tensors of a part with n crops, sorted by track and frame:
    jpegs (bytes,) uint8, ends (n,) int64           the JPEG files one after the other, and where each ends
    boxes_xyxy (n, 4), keypoints (n, 17, 3)         float32, in crop pixels
    tracks (n,), frames (n,)                        int64
    others_xyxy (m, 4) float32, other_ends (n,)     the other people in each crop one after the other, and where each
                                                    crop's end
Strings in its header: "crops", the layout's version; "source", the data set and split; "people", a hash of the
requested people; "pictures", one of the contents of their pictures; "faults", a JSON list of the reasons why some of
the people are left out; "teachers", a JSON list of the models that made annotations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from armory_skelevision.io import printable
from armory_skelevision.training.data.pair import NO_BOXES, Picture
from armory_skelevision.training.data.real_crops.cropping import CROP_SIDE, Crop
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.checkpoints import write_checkpoint

SUFFIX = ".safetensors"
LAYOUT = "2"
_KEYS = {"source", "people", "pictures", "faults", "teachers"}
PART = f"a part of a crop store (layout {LAYOUT})"


def write_part(
    path: Path,
    crops: Sequence[Crop],
    source: str,
    people: str,
    pictures: str,
    problems: Sequence[str],
    teachers: Sequence[str] = (),
) -> None:
    """Write a part of crops that are sorted by track and frame, whole or not at all (`OSError`)."""
    jpegs = [crop.jpeg for crop in crops]
    arrays = {
        "jpegs": np.concatenate([np.zeros(0, np.uint8), *jpegs]),
        "ends": np.cumsum([len(jpeg) for jpeg in jpegs], dtype=np.int64),
        "boxes_xyxy": np.array([crop.box_xyxy for crop in crops], np.float32).reshape(-1, 4),
        "keypoints": np.array([crop.keypoints for crop in crops], np.float32).reshape(-1, 17, 3),
        "tracks": np.array([crop.track for crop in crops], np.int64),
        "frames": np.array([crop.frame for crop in crops], np.int64),
        "others_xyxy": np.concatenate([NO_BOXES, *(crop.others_xyxy for crop in crops)]),
        "other_ends": np.cumsum([len(crop.others_xyxy) for crop in crops], dtype=np.int64),
    }
    header = {"crops": LAYOUT, "source": source, "people": people, "pictures": pictures}
    header |= {"faults": json.dumps(list(problems)), "teachers": json.dumps(list(teachers))}
    write_checkpoint({name: torch.from_numpy(array) for name, array in arrays.items()}, header, path)


def open_part(path: Path) -> tuple[Any, dict[str, str]]:
    """A part, opened by safetensors, and its header. Only the header is read yet.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is truncated, damaged or of another format.
    """
    if not path.is_file():  # a pipe would be waited for
        raise MissingFileError(printable(path), PART, "no such file")
    try:
        file: Any = safe_open(path, framework="np")
        header: dict[str, str] = file.metadata() or {}
        if header.get("crops") != LAYOUT or not set(header) >= _KEYS:
            layout = header.get("crops")
            got = f"one of layout {layout!r}" if layout else f"another file, with the header keys {sorted(header)}"
            raise InvalidValueError(printable(path), PART, got, "delete it, and cut the crops again" if layout else "")
        _check_columns(path, file)
    except (SafetensorError, OSError) as error:
        found = f"a truncated or damaged file, or another format ({error})"
        raise InvalidValueError(printable(path), PART, found, "delete it") from error
    return file, header


def _check_columns(path: Path, file: Any) -> None:
    """Refuse a part whose tensors do not belong together."""
    ends, other_ends = file.get_tensor("ends"), file.get_tensor("other_ends")
    count, others = len(ends), int(max(other_ends, default=0))
    shapes = {"boxes_xyxy": (count, 4), "keypoints": (count, 17, 3), "tracks": (count,), "frames": (count,)}
    shapes |= {"ends": (count,), "other_ends": (count,), "others_xyxy": (others, 4)}
    shapes["jpegs"] = (int(max(ends, default=0)),)
    found = {name: tuple(file.get_slice(name).get_shape()) for name in shapes}
    rising = [0, *ends] == sorted({0, *ends}) and [0, *other_ends] == sorted([0, *other_ends])
    if found != shapes or not rising:
        raise InvalidValueError(printable(path), PART, f"tensors that do not fit each other ({found})", "delete it")


def is_crop_store(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds parts of crops."""
    return any(Path(folder).glob(f"*{SUFFIX}"))


class CropStore:
    """All crops of a folder. The images are read on demand.

    Args:
        folder: Folder with at least one part; parts of several data sets form one store.

    Attributes:
        boxes_xyxy: (n, 4) float32, crop pixels.
        keypoints: (n, 17, 3) float32: x, y in crop pixels, v.
        people: (n,) int64: the number of each crop's person, as far as the data sets distinguish people.
        sources: The data sets and splits in the store.
        teachers: The models that made annotations in it.

    Raises:
        MissingFileError: If the folder holds no parts.
        InvalidValueError: If a part is damaged, or no part holds a crop.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        paths = sorted(Path(folder).glob(f"*{SUFFIX}"))
        if not paths:
            raise MissingFileError(str(folder), "a store of crops", "a folder without", "run `skelevision data crops`")
        opened = [open_part(path) for path in paths]
        self._files = [file for file, _ in opened]
        self._paths = paths
        self.sources = tuple(sorted({header["source"] for _, header in opened}))
        self.teachers = tuple(sorted({name for _, header in opened for name in json.loads(header["teachers"])}))
        names = ("ends", "tracks", "frames", "others_xyxy", "other_ends")
        columns = {name: [file.get_tensor(name) for file in self._files] for name in names}
        self._parts = np.repeat(np.arange(len(paths)), [len(ends) for ends in columns["ends"]])
        tracks = np.stack([self._parts, np.concatenate(columns["tracks"])])
        self.people = np.unique(tracks, axis=1, return_inverse=True)[1].astype(np.int64)
        self._ends = np.concatenate(columns["ends"])
        self._starts = np.concatenate([np.append(0, ends)[:-1] for ends in columns["ends"]])
        self._frames = np.concatenate(columns["frames"])
        self._others_xyxy = np.split(
            np.concatenate(columns["others_xyxy"]),
            np.cumsum(np.concatenate([np.diff(ends, prepend=0) for ends in columns["other_ends"]]))[:-1],
        )
        self.boxes_xyxy = np.concatenate([file.get_tensor("boxes_xyxy") for file in self._files])
        self.keypoints = np.concatenate([file.get_tensor("keypoints") for file in self._files])
        if not len(self):
            raise InvalidValueError(str(folder), "at least one crop", f"none in its {len(paths)} parts")

    def __len__(self) -> int:
        """Number of crops."""
        return len(self._parts)

    def picture(self, index: int) -> Picture:
        """The image of a crop, (511, 511, 3).

        Raises:
            InvalidValueError: If it is damaged.
        """
        part = self._parts[index]
        data = self._files[part].get_slice("jpegs")[int(self._starts[index]) : int(self._ends[index])]
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (CROP_SIDE, CROP_SIDE, 3):
            expected = f"a JPEG file of crop {index}, {CROP_SIDE}×{CROP_SIDE}"
            raise InvalidValueError(printable(self._paths[part]), expected, "other bytes", "delete it")
        return np.asarray(picture, np.uint8)

    def others_xyxy(self, index: int) -> NDArray[np.float32]:
        """Boxes (n, 4) of the other people in a crop, crop pixels."""
        return self._others_xyxy[index]

    def neighbours(self, index: int, reach: int) -> NDArray[np.int64]:
        """Indices, in order, of the crops of the same person at most ``reach`` frames away, this one included."""
        near = np.arange(max(0, index - reach), min(len(self), index + reach + 1))
        alike = self.people[near] == self.people[index]
        return np.asarray(near[alike & (abs(self._frames[near] - self._frames[index]) <= reach)], np.int64)
