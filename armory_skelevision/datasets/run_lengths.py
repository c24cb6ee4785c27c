"""Decodes binary masks from COCO's compressed run lengths, strictly.

Format: lengths of runs of 0, 1, 0, … down the columns. From the fourth on, a length is stored as its difference to the
one two before. A number is written in groups of five bits, lowest first, each as the character of code 48 + group, plus
32 where another group follows; the highest bit of the last group is the sign. (As in the COCO API, maskApi.c. That
decoder accepts lengths that do not fill the frame, and leaves the rest of the mask uninitialised.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.validation import InvalidValueError

_MAX_BITS = 60  # of one number: the lengths of any frame need 30


def decode_mask(counts: str, height: int, width: int) -> NDArray[np.uint8]:
    """Decode a mask, (H, W) uint8, 0 or 1, from COCO's compressed run lengths.

    Raises:
        InvalidValueError: If the text is damaged or of a mask of another size; the key is ``masks``.
    """
    lengths = _decode_lengths(counts)
    if min(lengths, default=0) < 0 or sum(lengths) != height * width:
        got = f"{sum(lengths)} pixels in {counts[:20]!r}"
        raise InvalidValueError("masks", f"runs that fill {width}×{height} pixels", got)
    values = np.arange(len(lengths), dtype=np.uint8) % 2
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)


def _decode_lengths(counts: str) -> list[int]:
    lengths: list[int] = []
    value = shift = 0
    for character in counts:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise InvalidValueError("masks", "COCO's compressed run lengths", f"{character!r} in {counts[:20]!r}")
        value |= (group & 31) << shift
        shift += 5
        if shift > _MAX_BITS:
            raise InvalidValueError("masks", "COCO's compressed run lengths", f"an endless number in {counts[:20]!r}")
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise InvalidValueError("masks", "COCO's compressed run lengths", f"a truncated text: {counts[-20:]!r}")
    return lengths
