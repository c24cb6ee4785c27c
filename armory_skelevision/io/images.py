"""Reads still images as OpenCV and image viewers show them, or says why that is impossible; writes PNG.

What a file stores and what people see differ in many ways. Read here are JPEG and PNG files of up to 16 bits per
channel: grey, in colour, with a palette, or CMYK as Adobe writes it. Of 16 bits the upper 8 are taken, as OpenCV does.
Refused are transparency, animations, other formats under these names, and damaged files. As in OpenCV and in the
training of every tracker, colour profiles and gamma values are not applied.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io.reading import MAX_BYTES, open_regular, printable, read_bytes
from armory_skelevision.validation import InvalidValueError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
"""Pixels that an image may have, checked before it is decoded: more than any camera's video, 150 MB as RGB."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_OTHERS = {
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"RIFF": "WebP",
    b"\0\0\0\x0cjP": "JPEG 2000",
}
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L")
_ORIENTATION = 0x0112


def read_image(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read a JPEG or PNG image, (H, W, 3) uint8 RGB; grey ones get three equal channels.

    Args:
        path: The file.
        size: Width and height that annotations state, which then refer to the pixels as they are stored: the
            orientation in the EXIF data is ignored, as by COCO's own tools. Without a size, an image that a viewer
            would turn or mirror is refused, since its annotations may mean either.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is damaged, of another size, larger than `MAX_PIXELS`, or would look different.
    """
    return decode_image(read_bytes(path), printable(path), size)


def decode_image(data: bytes, key: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG or PNG file as `read_image` does; ``key`` names them in errors."""
    image = _open(data, key)
    if size is not None and image.size != size:
        expected = f"{size[0]}×{size[1]} pixels as annotated"
        raise InvalidValueError(key, expected, f"{image.size[0]}×{image.size[1]}")
    if size is None and (orientation := _orientation(image)) != 1:
        fix = "store it upright, without EXIF data, and check that its annotation refers to that"
        raise InvalidValueError(key, "an image stored as it is shown", f"EXIF orientation {orientation}", fix)
    if image.has_transparency_data:
        rgba = _to_rgba(image, key)
        if rgba[..., 3].min() < 255:
            raise InvalidValueError(key, "an opaque image", "transparent pixels", "store it without an alpha channel")
        return np.ascontiguousarray(rgba[..., :3])
    if image.mode in _DEEP_GREY:
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "CMYK" and "adobe" not in image.info:
        raise InvalidValueError(key, "an RGB or grey image", "CMYK whose sign is not stated", "convert it to RGB")
    return np.asarray(image.convert("RGB"))


def read_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height in pixels that a JPEG or PNG file states. Whether the rest of it is intact is not checked.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is of another format, or its head is damaged.
    """
    key = printable(path)
    with open_regular(path, MAX_BYTES) as file:
        kind = _find_kind(file.peek(16)[:16], key)
        try:
            size: tuple[int, int] = kind(file).size
        except Exception as error:  # as in `_open`
            raise InvalidValueError(key, "an intact JPEG or PNG image", f"a damaged one ({error})") from None
    return size


def read_cutout(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a PNG image with transparency, (H, W, 4) uint8: RGB and straight alpha; otherwise as `read_image`."""
    image = _open(read_bytes(path), printable(path))
    if not image.has_transparency_data:
        raise InvalidValueError(printable(path), "an image with transparency (RGBA)", f"mode {image.mode}")
    return _to_rgba(image, printable(path))


def read_label_image(path: str | os.PathLike[str], inside: str | os.PathLike[str] | None = None) -> NDArray[np.uint8]:
    """Read a PNG image whose pixels are numbers and not colours, such as a mask with objects, (H, W) uint8.

    Args:
        path: The file: grey or with a palette, of at most 8 bits.
        inside: A folder that it must be in; None for any place.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is damaged, too large, in colour, or outside of the folder.
    """
    image = _open(read_bytes(path, inside=inside), printable(path))
    if image.mode not in ("1", "L", "P") or image.format != "PNG":
        expected = "a PNG image of numbers: grey, or with a palette"
        raise InvalidValueError(printable(path), expected, f"{image.format} of mode {image.mode}")
    return np.asarray(image).astype(np.uint8)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Compress an image, (H, W, 3) RGB or (H, W), uint8, as PNG (`InvalidValueError` for another shape or type)."""
    import cv2

    # Level 1 is three times as fast as the default, for a tenth more bytes.
    done, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise InvalidValueError("image", "(H, W, 3) or (H, W) of uint8", f"{image.shape} of {image.dtype}")
    return bytes(data)


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Compress an image, (H, W, 3) RGB uint8, as JPEG of a quality from 1 to 100, with colours at full resolution."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "jpeg", quality=quality, subsampling=0)
    return stream.getvalue()


def _open(data: bytes, key: str) -> Image:
    """The decoded image, after its format and its size have been checked."""
    kind = _find_kind(data, key)
    try:
        stream = io.BytesIO(data)
        image: Image = kind(stream)
        if image.width * image.height > MAX_PIXELS:
            raise InvalidValueError(key, f"at most {MAX_PIXELS:,} pixels", f"{image.width}×{image.height}")
        if getattr(image, "is_animated", False):
            raise InvalidValueError(key, "one image", f"an animation of {getattr(image, 'n_frames', 0)} images")
        start = stream.tell()
        image.load()
        _check_whole(data, start)
    except InvalidValueError:
        raise
    except Exception as error:  # Pillow raises what its parsers happen to raise: struct.error, IndexError, …
        raise InvalidValueError(key, "an intact JPEG or PNG image", f"a damaged one ({error})") from None
    return image


def _find_kind(data: bytes, key: str) -> Any:
    """Pillow's reader of a file that begins with these bytes (`InvalidValueError` if it is no JPEG or PNG file)."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    kinds: dict[bytes, Any] = {_JPEG: JpegImageFile, _PNG: PngImageFile}
    for mark, kind in kinds.items():
        if data.startswith(mark):
            return kind
    other = next((f"a {name} file" for mark, name in _OTHERS.items() if data.startswith(mark)), "another file")
    raise InvalidValueError(key, "a JPEG or PNG image", other if data else "an empty file")


def _check_whole(data: bytes, start: int) -> None:
    """Refuse (`ValueError`) an image that ends early, which Pillow fills up with black or grey in silence.

    A JPEG's scans begin at ``start``; a small preview before them has an end of its own.
    """
    import cv2

    if data.startswith(_JPEG):
        if data.find(b"\xff\xd9", start) < 0:
            raise ValueError("it has no end")
    elif cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is None:  # libpng counts the lines
        raise ValueError("its lines or checksums are wrong")


def _to_rgba(image: Image, key: str) -> NDArray[np.uint8]:
    if image.mode in _DEEP_GREY:
        raise InvalidValueError(key, "an image of 8 bits per channel", "16 bits with a transparent shade of grey")
    return np.asarray(image.convert("RGBA"))


def _orientation(image: Image) -> int:
    with contextlib.suppress(Exception):  # viewers ignore EXIF data that are damaged
        given = image.getexif().get(_ORIENTATION)
        return given if isinstance(given, int) and 2 <= given <= 8 else 1
    return 1
