"""Reads still images, and compresses frames without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.validation import InvalidValueError


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG or PNG image, (H, W, 3) uint8 RGB; grey ones get three equal channels.

    Raises:
        InvalidValueError: If the file is damaged or not an image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidValueError(str(path), "an intact JPEG or PNG image", f"none ({error})") from None


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Compress an image, (H, W, 3) RGB or (H, W), uint8, as PNG (`InvalidValueError` for another shape or type)."""
    import cv2

    # Level 1 is three times as fast as the default, for a tenth more bytes.
    done, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise InvalidValueError("image", "(H, W, 3) or (H, W) of uint8", f"{image.shape} of {image.dtype}")
    return bytes(data)
