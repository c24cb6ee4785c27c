"""Reads the uncompressed scan-line OpenEXR files that Blender writes with the codec "NONE".

Format: https://openexr.com/en/latest/OpenEXRFileLayout.html (multi-part, 32-bit float channels only).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from skelevision_town.shapes import Array

_MAGIC = b"\x76\x2f\x31\x01"
_MULTIPART = 0x10  # in the second byte of the version field
_FLOAT = 2


def _text(data: bytes, start: int) -> tuple[str, int]:
    end = data.index(b"\0", start)
    return data[start:end].decode(), end + 1


def _header(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """Attributes of one part, and where the next header begins."""
    found = {}
    while data[at] != 0:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        found[name], at = data[at + 4 : at + 4 + size], at + 4 + size
    return found, at + 1


def _channel_names(block: bytes, path: Path) -> list[str]:
    names, at = [], 0
    while block[at] != 0:
        name, at = _text(block, at)
        (kind,) = struct.unpack_from("<i", block, at)
        if kind != _FLOAT:
            raise ValueError(f"{path}: channel {name} is not of 32-bit floats")
        names.append(name)
        at += 16
    return names


def read_exr(path: Path) -> dict[str, Array]:
    """Read an uncompressed multi-part 32-bit EXR file: (H, W) float64 values by channel name.

    Raises:
        ValueError: If the file is not a multi-part EXR, is compressed, or has other values than 32-bit floats.
    """
    data = path.read_bytes()
    if data[:4] != _MAGIC or not data[5] & _MULTIPART:
        raise ValueError(f"{path} is no multi-part OpenEXR file")
    at, parts = 8, []
    while data[at] != 0:
        part, at = _header(data, at)
        parts.append(part)
    at, channels = at + 1, {}
    for part in parts:
        if part["compression"] != b"\0":
            raise ValueError(f"{path} is compressed; write it with the codec NONE")
        (first,) = struct.unpack_from("<Q", data, at)
        at += 8 * struct.unpack("<i", part["chunkCount"])[0]
        x0, y0, x1, y1 = struct.unpack("<4i", part["dataWindow"])
        names, width, height = _channel_names(part["channels"], path), x1 - x0 + 1, y1 - y0 + 1
        stride = 12 + 4 * width * len(names)
        lines = np.frombuffer(data, dtype=np.uint8, count=height * stride, offset=first).reshape(height, stride)
        values = np.ascontiguousarray(lines[:, 12:]).view("<f4").reshape(height, len(names), width)
        channels.update({name: values[:, index].astype(np.float64) for index, name in enumerate(names)})
    return channels
