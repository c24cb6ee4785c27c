"""Images: read as OpenCV and viewers show them, or refused by name."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from armory_skelevision.io import images
from armory_skelevision.io.images import decode_image, encode_png, read_cutout, read_image
from armory_skelevision.validation import InvalidValueError, MissingFileError

RNG = np.random.default_rng(0)
COLOUR = cv2.resize(RNG.integers(0, 256, (4, 5, 3), np.uint8), (30, 20))
GREY = COLOUR[..., 0].copy()
DEEP = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint16)


def save(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def from_opencv(pixels: np.ndarray, suffix: str = ".png", level: int | None = None) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, [] if level is None else [cv2.IMWRITE_PNG_COMPRESSION, level])[1])


def with_opaque_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def orient(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PICTURE = Image.fromarray(COLOUR)
MPO = save(PICTURE, "MPO", save_all=True, append_images=[Image.new("RGB", (30, 20))])
SHOWN = {
    "8 bits grey": from_opencv(GREY),
    "8 bits colour": from_opencv(COLOUR),
    "16 bits grey": from_opencv(DEEP[..., 0].copy()),
    "16 bits colour": from_opencv(DEEP),
    "16 bits opaque": from_opencv(with_opaque_alpha(DEEP)),
    "opaque": from_opencv(with_opaque_alpha(COLOUR)),
    "grey and opaque": save(Image.fromarray(with_opaque_alpha(GREY), "LA")),
    "1 bit": save(Image.fromarray(GREY > 99)),
    **{f"palette of {bits} bits": save(PICTURE.quantize(2**bits), bits=bits) for bits in (1, 2, 4, 8)},
    "opaque palette": save(PICTURE.quantize(16), transparency=bytes([255] * 16)),
    "JPEG": from_opencv(COLOUR, ".jpg"),
    "grey JPEG": from_opencv(GREY, ".jpg"),
    "progressive JPEG": save(PICTURE, "JPEG", progressive=True, subsampling=2),
    "JPEG in RGB": save(PICTURE, "JPEG", keep_rgb=True),
    "JPEG and its preview": MPO,
    "JPEG upright": save(PICTURE, "JPEG", exif=orient(1)),
    **{f"JPEG of unknown orientation {n}": save(PICTURE, "JPEG", exif=orient(n)) for n in (0, 9)},
    "with damaged EXIF data": save(PICTURE)[:33] + chunk(b"eXIf", b"no TIFF") + save(PICTURE)[33:],
    "with a colour profile": save(PICTURE, icc_profile=b"any"),
    "with a gamma value": save(PICTURE)[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + save(PICTURE)[33:],
}


@pytest.mark.parametrize("name", SHOWN)
def test_images_are_what_opencv_shows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "0001.jpg"  # viewers go by the content, not by the name
    path.write_bytes(SHOWN[name])
    expected = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    image = read_image(path)
    assert image.dtype == np.uint8 and image.shape == (20, 30, 3)
    np.testing.assert_array_equal(image, expected)


def test_cmyk_as_adobe_writes_it_is_what_opencv_shows() -> None:
    data = save(PICTURE.convert("CMYK"), "JPEG", quality=95)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert abs(decode_image(data, "a.jpg") - expected).max() <= 2
    assert abs(decode_image(data, "a.jpg").astype(int) - COLOUR).max() < 40


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


HALF_CLEAR = COLOUR[..., [0, 1, 2, 0]]
NOISE = save(Image.fromarray(RNG.integers(0, 256, (200, 200, 3), np.uint8)))
STORED = save(Image.fromarray(RNG.integers(0, 256, (200, 200, 3), np.uint8)), compress_level=0)
REFUSED = {
    "transparent": (save(Image.fromarray(HALF_CLEAR)), "transparent pixels"),
    "grey and transparent": (save(Image.fromarray(HALF_CLEAR[..., :2].copy(), "LA")), "transparent pixels"),
    "transparent palette": (save(PICTURE.quantize(16), transparency=3), "transparent pixels"),
    "one colour transparent": (save(PICTURE, transparency=tuple(map(int, COLOUR[0, 0]))), "transparent pixels"),
    "one shade transparent": (save(Image.fromarray(DEEP[..., 0].copy()), transparency=7), "16 bits with"),
    "animation": (save(PICTURE, save_all=True, append_images=[Image.new("RGB", (30, 20))]), "an animation of 2"),
    "GIF": (save(PICTURE, "GIF"), "a GIF file"),
    "TIFF": (save(PICTURE, "TIFF"), "a TIFF file"),
    "TIFF of floats": (save(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "a TIFF file"),
    "TIFF in LAB": (save(Image.fromarray(COLOUR, "LAB"), "TIFF"), "a TIFF file"),
    "BMP": (save(PICTURE, "BMP"), "a BMP file"),
    "WebP": (save(PICTURE, "WEBP"), "a WebP file"),
    "JPEG 2000": (save(PICTURE, "JPEG2000"), "a JPEG 2000 file"),
    "text": (b"not an image", "another file"),
    "nothing": (b"", "an empty file"),
    "CMYK of unknown sign": (
        save(PICTURE.convert("CMYK"), "JPEG").replace(b"\xff\xee\x00\x0eAdobe", b"\xff\xee\x00\x0eOther"),
        "CMYK whose sign",
    ),
    "400 megapixels": (bomb(20_000, 20_000), "20000×20000"),
    "just too large": (bomb(10_001, 5_000), "10001×5000"),
    "truncated PNG": (NOISE[:-2000], "a damaged one"),
    "truncated JPEG": (save(Image.fromarray(DEEP.astype(np.uint8)), "JPEG")[:-300], "a damaged one"),
    "a changed byte": (flip(NOISE, len(NOISE) // 2), "a damaged one"),
    "a changed byte of stored pixels": (flip(STORED, len(STORED) // 2), "a damaged one"),
    "only a signature": (NOISE[:8], "a damaged one"),
    "only a mark": (b"\xff\xd8\xff", "a damaged one"),
    **{f"orientation {n}": (save(PICTURE, "JPEG", exif=orient(n)), f"EXIF orientation {n}") for n in range(2, 9)},
    "orientation of a PNG": (save(PICTURE, exif=orient(6)), "EXIF orientation 6"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_images_that_would_look_different_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "0001.png"
    data, got = REFUSED[name]
    path.write_bytes(data)
    with pytest.raises(InvalidValueError) as caught:
        read_image(path)
    assert caught.value.key == str(path)
    assert caught.value.got.startswith(got)


def test_annotated_images_are_read_as_they_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(save(PICTURE, "JPEG", exif=orient(6)))
    upright = tmp_path / "b.jpg"
    upright.write_bytes(save(PICTURE, "JPEG"))
    np.testing.assert_array_equal(read_image(path, (30, 20)), read_image(upright))
    with pytest.raises(InvalidValueError) as caught:
        read_image(path, (20, 30))
    assert (caught.value.key, caught.value.got) == (str(path), "30×20")


@pytest.mark.parametrize("name", ["pipe", "zero", "folder", "absent"])
def test_only_files_are_read(tmp_path: Path, name: str) -> None:
    make: dict[str, Callable[[Path], Any]] = {
        "pipe": os.mkfifo,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
        "absent": lambda path: None,
    }
    make[name](tmp_path / "0001.png")
    with pytest.raises(MissingFileError if name == "absent" else InvalidValueError) as caught:
        read_image(tmp_path / "0001.png")
    assert caught.value.key == str(tmp_path / "0001.png")


def test_large_images_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 599)
    with pytest.raises(InvalidValueError):
        decode_image(SHOWN["JPEG"], "a")
    monkeypatch.setattr(images, "MAX_PIXELS", 600)
    decode_image(SHOWN["JPEG"], "a")


@pytest.mark.parametrize("deep", [False, True])
def test_cutouts_keep_their_transparency(tmp_path: Path, deep: bool) -> None:
    pixels = RNG.integers(0, 256, (9, 8, 4), np.uint8)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), pixels[..., [2, 1, 0, 3]].astype(np.uint16) * 257 if deep else pixels[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(read_cutout(path), pixels)
    cv2.imwrite(str(path), COLOUR)
    with pytest.raises(InvalidValueError) as caught:
        read_cutout(path)
    assert caught.value.got == "mode RGB"
    for data in (NOISE[:-2000], REFUSED["one shade transparent"][0]):
        path.write_bytes(data)
        with pytest.raises(InvalidValueError) as caught:
            read_cutout(path)
        assert caught.value.key == str(path)


def test_images_are_written_as_they_are() -> None:
    for pixels in (COLOUR, GREY):
        data = encode_png(pixels)
        assert data == from_opencv(pixels[..., ::-1] if pixels.ndim == 3 else pixels, level=1)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    with pytest.raises(InvalidValueError) as caught:
        encode_png(COLOUR[None])
    assert caught.value.key == "image"


PREVIEW = orient(1)  # as of a camera: a small JPEG file, with an end, within the file
PHOTO = save(Image.fromarray(cv2.resize(COLOUR, (300, 200))), "JPEG", exif=PREVIEW)
PHOTO = PHOTO[:2] + b"\xff\xe1" + struct.pack(">H", len(save(PICTURE, "JPEG")) + 2) + save(PICTURE, "JPEG") + PHOTO[2:]
ROWS = b"".join(b"\0" + bytes([100, 150, 200] * 8) for _ in range(8))


def make_png(kind: int, rows: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    {
        "rows missing": make_png(2, ROWS[:100]),
        "no palette": make_png(3, ROWS[: 9 * 8]),
        "rest of the file not written": PHOTO[: len(PHOTO) * 2 // 3] + bytes(len(PHOTO) // 3),
        "rest without lines": PHOTO[: len(PHOTO) * 2 // 3] + b"\xff\xd0" * 99,
    }.items(),
    ids=lambda item: item[0],
)
def test_images_that_end_early_are_refused(data: tuple[str, bytes]) -> None:
    with pytest.raises(InvalidValueError) as caught:
        decode_image(data[1], "a.png")
    assert caught.value.key == "a.png"


def test_whole_images_with_a_preview_or_an_appendix_are_read() -> None:
    assert decode_image(PHOTO + b"\xff\xda film" * 9, "a.jpg").shape == (200, 300, 3)
    assert decode_image(make_png(2, ROWS), "a.png").tolist() == [[[100, 150, 200]] * 8] * 8
