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

from armory_skelevision.io import atomic_write


def write_patch(stem: str | os.PathLike[str], patch: np.ndarray, settings: Mapping[str, Any]) -> Path:
    """Write a patch (h, w, 3), RGB in [0, 1], as ``stem``.npy, .png and .json, and return the first's path."""
    path = Path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = io.BytesIO()
    np.save(values, patch.astype(np.float32), allow_pickle=False)
    picture = cv2.imencode(".png", (patch[..., ::-1] * 255).round().astype(np.uint8))[1]
    atomic_write(path.with_name(path.name + ".png"), picture.tobytes())
    atomic_write(path.with_name(path.name + ".json"), (json.dumps(settings, indent=4, sort_keys=True) + "\n").encode())
    # The values come last: where they are, the others are too.
    target = path.with_name(path.name + ".npy")
    atomic_write(target, values.getvalue())
    return target


def read_patch(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a patch from a .npy or .png file: (h, w, 3) float32, RGB in [0, 1].

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a patch, saying what would be right.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"patch_init: there is no file {file}")
    if file.suffix == ".npy":
        try:
            patch = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"patch_init: {file} is no numpy array: {error}") from error
    elif file.suffix == ".png":
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"patch_init: {file} is no picture that can be read")
        patch = picture[..., ::-1] / 255
    else:
        raise ValueError(f"patch_init: expected a .npy or .png file, got {file.name}")
    if patch.ndim != 3 or patch.shape[-1] != 3 or min(patch.shape) == 0 or not np.issubdtype(patch.dtype, np.floating):
        raise ValueError(f"patch_init: {file}: expected floats (h, w, 3), got {patch.dtype} {patch.shape}")
    if not (patch.min() >= 0 and patch.max() <= 1):
        raise ValueError(f"patch_init: {file}: expected colours in [0, 1]")
    return np.asarray(patch, np.float32)
