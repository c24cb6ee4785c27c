"""Decodes video files of any kind, frame by frame, in bounded memory, with the ffmpeg of `imageio-ffmpeg`.

Every frame that a file stores comes out once, whatever its time: with a variable frame rate, the frames are not evenly
spaced in time. They are turned as the file's rotation says, so width and height are those that players show. Pixels are
as stored where they are not square, and colours are converted as OpenCV's `VideoCapture` does. What cannot be decoded
without an error is refused: ffmpeg would fill it up in silence. (`video_files` reads this package's own videos, which
are the same to the bit on every machine.)
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import open_regular, printable
from armory_skelevision.io.video_files import MAX_FRAME_PIXELS
from armory_skelevision.validation import InvalidValueError

# The bytes at some place that tell a container, and ffmpeg's name of it.
_CONTAINERS = (
    *((4, mark, "mov") for mark in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")),
    (8, b"AVI ", "avi"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
)
_MAX_HEADER = 64  # bytes of a line of a frame's header
_MAX_MESSAGES = 10_000  # bytes of ffmpeg's messages that are looked at


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself, and the size of its first frame."""

    fps: float
    """Frames per second; the mean, where the rate varies."""
    size: tuple[int, int]
    """Width and height of the frames as they are shown, in pixels."""
    count: int | None
    """Number of frames, estimated from the duration; None where that is not stated."""


def probe_video(path: Path) -> VideoInfo:
    """Decode the first frame of a video file.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no video, has no frames, or its first frame is damaged or too large.
    """
    with _ffmpeg(path, "info", "-frames:v", "1") as decoder:
        frame = decoder.read(printable(path))
        failed, about = decoder.finish()
    if failed or frame is None:
        raise _damaged(path, 0, about.splitlines()[-1] if about else "")
    stream_line = next((line for line in about.splitlines() if "Stream #" in line and "Video:" in line), "")
    rate = re.search(r"\b([0-9.]+)(k?) fps", stream_line) or re.search(r"\b([0-9.]+)(k?) tbr", stream_line)
    fps = float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0
    if not 0.01 <= fps <= 10_000:
        got = " ".join(stream_line.split())[:120] or "none"
        raise InvalidValueError(printable(path), "a video with a frame rate", got)
    height, width = frame.shape[:2]
    time = re.search(r"Duration: ([0-9]{2,4}):([0-9]{2}):([0-9.]+)", about)
    seconds = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else None
    return VideoInfo(fps, (width, height), None if seconds is None else max(1, round(seconds * fps)))


def decode_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Decode a video file from its start, (H, W, 3) uint8 RGB, one frame after the other.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no video or has no frames; after the frames before it, if one is damaged or of
            another size than the first.
    """
    count, shape = 0, None
    with _ffmpeg(path, "error") as decoder:
        while (frame := decoder.read(printable(path))) is not None:
            if frame.shape != (shape or frame.shape):
                raise InvalidValueError(printable(path), "frames of one size", f"another one in frame {count}")
            shape = frame.shape
            yield frame
            count += 1
        failed, problem = decoder.finish()
    if failed or problem or not count:
        raise _damaged(path, count, problem)


class _Decoder(NamedTuple):
    """A running ffmpeg that writes PPM images, one after the other."""

    process: subprocess.Popen[bytes]
    messages: IO[bytes]

    def read(self, key: str) -> NDArray[np.uint8] | None:
        """The next image; None at the end. A frame that is too large is refused by ``key``."""
        stream = cast(io.BufferedReader, self.process.stdout)
        if not stream.readline(_MAX_HEADER):
            return None
        size = stream.readline(_MAX_HEADER)
        stream.readline(_MAX_HEADER)  # the largest value
        match = re.fullmatch(rb"([0-9]{1,9}) ([0-9]{1,9})\n", size)
        if match is None or int(match[1]) * int(match[2]) > MAX_FRAME_PIXELS:
            raise InvalidValueError(key, f"frames of at most {MAX_FRAME_PIXELS:,} pixels", repr(size)[:80])
        frame = np.empty((int(match[2]), int(match[1]), 3), np.uint8)
        view, done = frame.reshape(-1).data, 0
        while done < len(view):
            if not (read := stream.readinto(view[done:])):
                return None
            done += read
        return frame

    def finish(self) -> tuple[bool, str]:
        """Wait for the end; whether it failed, and the first of its messages."""
        cast(io.BufferedReader, self.process.stdout).read()
        failed = self.process.wait() != 0
        self.messages.seek(0)
        text = self.messages.read(_MAX_MESSAGES).decode(errors="replace").strip()
        return failed, text


@contextlib.contextmanager
def _ffmpeg(path: Path, level: str, *options: str) -> Iterator[_Decoder]:
    """Run ffmpeg on a file, until the block ends."""
    import imageio_ffmpeg

    # The container is given, since ffmpeg would follow the addresses in a playlist. ":V" leaves out covers of music.
    source = ["-protocol_whitelist", "file", "-f", _container(path), "-max_pixels", str(MAX_FRAME_PIXELS)]
    source += ["-err_detect", "explode", "-i", f"file:{path.absolute()}", "-map", "0:V:0", "-fps_mode", "passthrough"]
    output = ["-sws_flags", "bilinear", "-pix_fmt", "rgb24"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-nostats", "-v", level, "-xerror", *source]
    command += [*options, *output, "-f", "image2pipe", "-c:v", "ppm", "-"]
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages) as process,
    ):
        try:
            yield _Decoder(process, messages)
        finally:
            process.kill()  # of no effect at the end


def _container(path: Path) -> str:
    with open_regular(path) as file:
        head = file.read(12)
    for at, mark, name in _CONTAINERS:
        if head[at : at + len(mark)] == mark:
            return name
    got = "another file" if head else "an empty file"
    raise InvalidValueError(printable(path), "a video file (MP4, MOV, AVI or Matroska)", got)


def _damaged(path: Path, frames: int, problem: str) -> InvalidValueError:
    after = f"one that is damaged after {frames} frames" if frames else "none"
    got = f"{after} ({' '.join(problem.split())[:300]})" if problem else after
    fix = "`ffmpeg -i FILE -c:v libx264 NEW.mp4` stores what can be decoded"
    return InvalidValueError(printable(path), "an intact video with at least one frame", got, fix)
