"""Writes H.264 videos in MP4 that play in any browser, frame by frame, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.validation import InvalidValueError

_TO_YUV = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
_COLOUR = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_EXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact")
_MAX_MESSAGES = 10_000  # bytes of ffmpeg's messages that are shown


class VideoWriter:
    """Takes the frames of one video; made by `open_writer`.

    Args:
        pipe: Where ffmpeg reads.
        size: Width and height in pixels.
    """

    def __init__(self, pipe: IO[bytes], size: tuple[int, int]) -> None:
        self._pipe, self._shape = pipe, (size[1], size[0], 3)

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Add a frame (H, W, 3), uint8 RGB; `InvalidValueError` for another shape or type."""
        if frame.dtype != np.uint8 or frame.shape != self._shape:
            raise InvalidValueError("frames", f"{self._shape} uint8", f"{frame.shape} {frame.dtype}")
        self._pipe.write(np.ascontiguousarray(frame).data)


@contextlib.contextmanager
def open_writer(
    path: str | Path, size: tuple[int, int], frame_rate: float, crf: int = 20, preset: str = "veryslow"
) -> Iterator[VideoWriter]:
    """Write a video. The file appears at the end, and not at all after an exception.

    Args:
        path: The file; its folder must exist. An existing file is replaced.
        size: Width and height in pixels, both even.
        frame_rate: Frames per second, above 0.
        crf: x264's constant rate factor, from 0 (best) to 51.
        preset: x264's effort; "medium" takes a fifth of the time for slightly larger files.

    Raises:
        InvalidValueError: For odd sides.
        RuntimeError: If ffmpeg fails, with its message.
    """
    if size[0] % 2 or size[1] % 2:
        raise InvalidValueError("size", "an even width and height", f"{size[0]}×{size[1]}")
    path = Path(path)
    temporary = path.with_name(path.stem + ".part.mp4")
    arguments = ["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{frame_rate:g}"]
    arguments += ["-i", "-", "-vf", _TO_YUV, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", preset]
    arguments += ["-crf", str(crf), "-threads", "1", *_COLOUR, *_EXACT, str(temporary)]
    try:
        with _ffmpeg(path, arguments) as pipe:
            yield VideoWriter(pipe, size)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _ffmpeg(path: Path, arguments: list[str]) -> Iterator[IO[bytes]]:
    """Run ffmpeg, which reads what the block writes; ends it at once if the block fails."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *arguments]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=messages)
        pipe = cast(IO[bytes], process.stdin)
        try:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg has given up, and says why
                yield pipe
                pipe.flush()
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
            failed = process.wait() != 0
        if failed:
            messages.seek(0)
            said = messages.read(_MAX_MESSAGES).decode(errors="replace").strip()
            raise RuntimeError(f"ffmpeg could not write {path}: {said}")
