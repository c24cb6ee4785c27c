"""Reads and writes H.264 videos, with the same pixels on every machine.

ffmpeg (from imageio-ffmpeg) decodes to yuv420p only, which the H.264 standard defines to the bit. The conversion to RGB
(BT.709, limited range, chroma between the lines and on the left, as in MPEG-2) is integer arithmetic here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import printable
from armory_skelevision.io.video_writer import open_writer
from armory_skelevision.validation import InvalidValueError, MissingFileError

Pixels = NDArray[np.uint8]

MAX_FRAME_PIXELS = 50_000_000
"""Pixels that a frame may have, as `io.images` bounds still images."""
MAX_PIXELS = 1_000_000_000
"""Pixels that all frames of a video may have together: 3 GB as RGB. More are not decoded."""


def write_video(path: str | Path, frames: Pixels, frame_rate: float, crf: int = 20, preset: str = "veryslow") -> None:
    """Write frames as H.264 in MP4, atomically. One version of ffmpeg writes equal frames as equal files.

    Args:
        path: The file; its folder must exist.
        frames: (F, H, W, 3) uint8 RGB, H and W even.
        frame_rate: Frames per second, above 0.
        crf: x264's constant rate factor, from 0 (best) to 51.
        preset: x264's effort; "medium" takes a fifth of the time for slightly larger files.

    Raises:
        InvalidValueError: If the frames have another shape or type.
        RuntimeError: If ffmpeg fails, with its message.
    """
    even = frames.ndim == 4 and frames.shape[3] == 3 and not frames.shape[1] % 2 and not frames.shape[2] % 2
    if frames.dtype != np.uint8 or not even:
        raise InvalidValueError("frames", "(F, H, W, 3) uint8 with even H and W", f"{frames.shape} {frames.dtype}")
    with open_writer(path, (frames.shape[2], frames.shape[1]), frame_rate, crf, preset) as writer:
        for frame in frames:
            writer.write(frame)


def read_video(path: str | Path) -> Pixels:
    """Read a video of even width and height, (F, H, W, 3) uint8 RGB.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If the file is not an MP4 video, truncated or damaged, its colours are stored in another way
            than `write_video` does, or its frames have more pixels than `MAX_FRAME_PIXELS` and, together, `MAX_PIXELS`.
    """
    path = Path(path)
    key = printable(path)
    if not path.is_file():
        raise MissingFileError(key, "a video", "a folder, a pipe or a device" if path.exists() else "no such file")
    # The format is given, since ffmpeg would follow the addresses in a playlist.
    source = ["-protocol_whitelist", "file", "-f", "mov", "-max_pixels", str(MAX_FRAME_PIXELS), "-xerror"]
    source += ["-err_detect", "explode", "-i", f"file:{path.absolute()}"]
    arguments = [*source, "-map", "0:v:0", "-fps_mode", "passthrough", "-fs", str(MAX_PIXELS * 3 // 2 + 2**20)]
    failed, data, message = _run_ffmpeg([*arguments, "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
    if failed or message or not data.startswith(b"YUV4MPEG2 "):
        raise InvalidValueError(key, "an intact video", f"a damaged one or none: {' '.join(message.split())[:300]}")
    head, _, body = data.partition(b"\n")
    _check_colours(key, head.decode(errors="replace"), _run_ffmpeg(["-v", "info", *source])[2])
    fields = {part[:1]: part[1:] for part in head.split(b" ")[1:]}
    width, height = int(fields[b"W"]), int(fields[b"H"])
    if width % 2 or height % 2:
        raise InvalidValueError(key, "frames of even width and height", f"{width}×{height}")
    stride = len(b"FRAME\n") + width * height * 3 // 2
    if len(body) // stride * width * height >= MAX_PIXELS:
        raise InvalidValueError(key, f"less than {MAX_PIXELS:,} pixels in all frames", "more")
    if not body or len(body) % stride:
        raise InvalidValueError(key, f"whole frames of {width}×{height} pixels", f"{len(body)} bytes")
    planes = np.frombuffer(body, dtype=np.uint8).reshape(-1, stride)[:, len(b"FRAME\n") :]
    return np.stack([_to_rgb(plane, width, height) for plane in planes])


def _check_colours(key: str, head: str, about: str) -> None:
    """Refuse a video whose frames would look different, by the head of its YUV4MPEG2 and what ffmpeg says about it."""
    fields = head.split(" ")
    stream = next((line for line in about.splitlines() if "Stream #" in line and "Video:" in line), "")
    kinds = [bool({"A0:0", "A1:1"} & {*fields}), "Ip" in fields, {"C420mpeg2", "XCOLORRANGE=LIMITED"} <= {*fields}]
    if not all(kinds) or not re.search(r"yuv420p\(tv, bt709\b", stream):
        got = " ".join(stream.partition("Video:")[2].split())[:120] or "another kind"
        fix = "store it again with `armory_skelevision.io.video_files.write_video`"
        raise InvalidValueError(
            key, "progressive yuv420p of square pixels, tagged as BT.709 in limited range", got, fix
        )


def _run_ffmpeg(arguments: list[str]) -> tuple[bool, bytes, str]:
    """Run ffmpeg: whether it failed, its output, and its messages."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode != 0, done.stdout, done.stderr.decode(errors="replace").strip()


def _to_rgb(plane: Pixels, width: int, height: int) -> Pixels:
    """One frame (H, W, 3) from its planar yuv420p bytes."""
    area, half = width * height, (height // 2, width // 2)
    luma = (plane[:area].reshape(height, width).astype(np.int32) - 16) * 76309
    blue = _spread(plane[area : area + area // 4].reshape(half))
    red = _spread(plane[area + area // 4 :].reshape(half))
    # BT.709 in 16-bit fixed point; chroma comes in eighths, so its factors are divided by 8
    rgb = np.stack([luma + 14686 * red, luma - 1747 * blue - 4366 * red, luma + 17305 * blue], axis=-1)
    return np.asarray(np.clip((rgb + 32768) >> 16, 0, 255).astype(np.uint8))


def _spread(chroma: Pixels) -> NDArray[np.int32]:
    """Chroma (H/2, W/2) interpolated linearly at every pixel (H, W), centred on 0, in eighths."""
    c = chroma.astype(np.int32) - 128
    up, down = np.concatenate([c[:1], c[:-1]]), np.concatenate([c[1:], c[-1:]])
    tall = np.stack([3 * c + up, 3 * c + down], axis=1).reshape(-1, c.shape[1])
    right = np.concatenate([tall[:, 1:], tall[:, -1:]], axis=1)
    return np.stack([2 * tall, tall + right], axis=2).reshape(tall.shape[0], -1)
