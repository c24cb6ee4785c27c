"""Reads arrays from .npy files that may be anything: bounded, and never unpickled."""

from __future__ import annotations

import io
import math
import os

import numpy as np
from numpy.lib import format as npy

from armory_skelevision.io.reading import printable, read_bytes
from armory_skelevision.validation import InvalidValueError

MAX_BYTES = 256 * 2**20
"""What such a file may have unless its reader says otherwise, in bytes: a patch of 4000 x 4000 has 192 million."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_array(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read one array of numbers from a .npy file.

    Args:
        path: The file.
        max_bytes: How many bytes it may have.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is no such file, larger, not as long as its header says, or holds Python objects.
    """
    key, expected = printable(path), "an array of numbers (.npy)"
    data = read_bytes(path, max_bytes)
    stream = io.BytesIO(data)
    try:
        shape, _, dtype = _HEADERS[npy.read_magic(stream)](stream)
    except Exception:  # NumPy evaluates the header as Python's literals, which may raise anything
        raise InvalidValueError(key, expected, "another kind of file") from None
    if dtype.hasobject or not np.issubdtype(dtype, np.number):
        raise InvalidValueError(key, expected, f"values of type {dtype}", "Python objects are never loaded")
    claimed, there = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if claimed != there or min(shape, default=0) < 0:
        raise InvalidValueError(key, f"{claimed} bytes of values, as its header says", f"{there} bytes")
    return np.load(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-any-return]
