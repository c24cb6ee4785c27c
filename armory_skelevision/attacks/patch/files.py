"""Patches as files: the exact values (.npy), a picture to look at or print (.png), and the settings (.json)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.io import atomic_write, printable, refuse_existing
from armory_skelevision.io.arrays import read_array
from armory_skelevision.io.images import read_image
from armory_skelevision.validation import InvalidValueError, StructuredError

SUFFIXES = (".png", ".json", ".npy")
"""Of the files of a patch. The last is written last: where it exists, the others do too."""


def write_patch(stem: str | os.PathLike[str], patch: np.ndarray, settings: Mapping[str, Any]) -> Path:
    """Write a patch (h, w, 3), RGB in [0, 1], as ``stem``.npy, .png and .json; returns the path of the .npy file.

    Raises:
        FileExistsError: If there is such a file already; it is left as it is.
    """
    path = Path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = io.BytesIO()
    np.save(values, patch.astype(np.float32), allow_pickle=False)
    picture = cv2.imencode(".png", (patch[..., ::-1] * 255).round().astype(np.uint8))[1]
    described = json.dumps(settings, indent=4, sort_keys=True) + "\n"
    for suffix, data in zip(SUFFIXES, (picture.tobytes(), described.encode(), values.getvalue()), strict=True):
        atomic_write(path.with_name(path.name + suffix), data, new=True)
    return path.with_name(path.name + ".npy")


def check_export_folder(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder for patches that cannot be one, before an attack starts (`InvalidValueError`)."""
    path = Path(folder)
    there = next((place for place in (path, *path.absolute().parents) if os.path.lexists(place)), path)
    if not os.fspath(folder) or not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InvalidValueError("export", "a folder that can be written to", repr(printable(folder)))


def refuse_exported(folder: str | os.PathLike[str], name: str) -> None:
    """Refuse a folder that has a patch of this name already, which would be replaced (`InvalidValueError`)."""
    for suffix in SUFFIXES:
        refuse_existing(Path(folder, name + suffix), "export", "name another folder, or delete these patches")


def read_patch(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a patch from a .npy or .png file: (h, w, 3) float32, RGB in [0, 1].

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If the file does not contain a patch.
    """
    file = Path(path)
    if file.suffix not in (".npy", ".png"):
        raise InvalidValueError("patch_init", "a .npy or .png file", printable(file.name))
    try:
        patch = read_array(file) if file.suffix == ".npy" else read_image(file) / 255
    except StructuredError as error:
        raise error.named_by("patch_init") from None
    if patch.ndim != 3 or patch.shape[-1] != 3 or min(patch.shape) == 0 or not np.issubdtype(patch.dtype, np.floating):
        raise InvalidValueError("patch_init", "floats (h, w, 3)", f"{patch.dtype} {patch.shape} in {file}")
    low, high = float(patch.min()), float(patch.max())
    if not (low >= 0 and high <= 1):
        raise InvalidValueError("patch_init", "colours in [0, 1]", f"{low:.4g} to {high:.4g} in {file}")
    return np.asarray(patch, np.float32)


def load_start(path: str | os.PathLike[str], name: str, patch_hw: tuple[int, int]) -> Tensor:
    """Load a patch to start an attack from, resized to ``patch_hw``: (h, w, 3) float32, RGB in [0, 1].

    ``path`` is a .npy or .png file, or a folder of exported patches, of which the one called ``name`` is read. Errors
    are those of `read_patch`.
    """
    if not os.fspath(path):
        raise InvalidValueError("patch_init", "a .npy or .png file, or a folder of them", "''")
    file = Path(path)
    patch = torch.from_numpy(read_patch(file / f"{name}.npy" if file.is_dir() else file))
    if patch.shape[:2] == patch_hw:
        return patch
    channels_first = patch.permute(2, 0, 1)[None]
    resized = F.interpolate(channels_first, size=patch_hw, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).clamp(0, 1)
