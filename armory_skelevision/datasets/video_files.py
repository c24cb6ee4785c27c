"""H.264 videos in and out, with the same pixels on every machine.

ffmpeg (from imageio-ffmpeg) only decodes to yuv420p, which the H.264 standard fixes to the bit; the way to RGB
(BT.709, limited range, chroma between the lines and on the left, as in MPEG-2) is integer arithmetic here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_TO_YUV = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"


def _ffmpeg(arguments: list[str], data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *arguments]
    if data is not None:
        command.remove("-nostdin")
    return subprocess.run(command, input=data, stdin=subprocess.DEVNULL if data is None else None, capture_output=True)


def write_video(path: str | Path, frames: Pixels, frame_rate: float, crf: int = 20, preset: str = "veryslow") -> None:
    """Write ``frames`` as H.264 in MP4, whole or not at all; equal frames give equal files with one ffmpeg.

    Args:
        path: of the video; its folder must exist.
        frames: (F, H, W, 3) uint8 RGB, H and W even.
        frame_rate: per second.
        crf: x264's quality, 0 (lossless) to 51.
        preset: x264's name for its effort; "medium" takes a fifth of the time for slightly larger files.

    Raises:
        ValueError: the frames have another shape or type.
        RuntimeError: ffmpeg failed; its message is passed on.
    """
    even = frames.ndim == 4 and frames.shape[3] == 3 and not frames.shape[1] % 2 and not frames.shape[2] % 2
    if frames.dtype != np.uint8 or not even:
        raise ValueError(f"expected frames (F, H, W, 3) uint8 with even H and W, got {frames.shape} {frames.dtype}")
    path = Path(path)
    half_done = path.with_name(path.stem + ".part.mp4")
    size, rate = f"{frames.shape[2]}x{frames.shape[1]}", f"{frame_rate:g}"
    colour = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    arguments = ["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i", "-", "-vf", _TO_YUV]
    arguments += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", preset, "-crf", str(crf), "-threads", "1"]
    arguments += [*colour, "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", str(half_done)]
    done = _ffmpeg(arguments, np.ascontiguousarray(frames).tobytes())
    if done.returncode != 0:
        half_done.unlink(missing_ok=True)
        raise RuntimeError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace').strip()}")
    os.replace(half_done, path)


def read_video(path: str | Path) -> Pixels:
    """Read a video of even width and height.

    Returns:
        (F, H, W, 3) uint8 RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no video, or cut short, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no video at {path}")
    done = _ffmpeg(["-xerror", "-err_detect", "explode", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough",
                    "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])  # fmt: skip
    message = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0 or message or not done.stdout.startswith(b"YUV4MPEG2 "):
        raise ValueError(f"{path} is no video that can be read whole (cut short or damaged?): {message[:300]}")
    head, _, body = done.stdout.partition(b"\n")
    fields = {part[:1]: part[1:] for part in head.split(b" ")[1:]}
    width, height = int(fields[b"W"]), int(fields[b"H"])
    stride = len(b"FRAME\n") + width * height * 3 // 2
    if not body or len(body) % stride:
        raise ValueError(f"{path} is cut short: {len(body)} bytes are no whole number of {width}x{height} frames")
    planes = np.frombuffer(body, dtype=np.uint8).reshape(-1, stride)[:, len(b"FRAME\n") :]
    return np.stack([_to_rgb(plane, width, height) for plane in planes])


def read_png(path: Path) -> Pixels:
    """Read an RGB picture (H, W, 3) of 8 bits per channel.

    Raises:
        ValueError: ffmpeg cannot read the file.
    """
    head = path.read_bytes()[16:24]
    done = _ffmpeg(["-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    if done.returncode != 0:
        raise ValueError(f"{path} is no picture that can be read: {done.stderr.decode(errors='replace').strip()[:300]}")
    width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:])
    return np.frombuffer(done.stdout, dtype=np.uint8).reshape(height, width, 3)


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
    """Chroma (H/2, W/2) at every pixel (H, W), centred on 0, in eighths: linear in between."""
    c = chroma.astype(np.int32) - 128
    up, down = np.concatenate([c[:1], c[:-1]]), np.concatenate([c[1:], c[-1:]])
    tall = np.stack([3 * c + up, 3 * c + down], axis=1).reshape(-1, c.shape[1])
    right = np.concatenate([tall[:, 1:], tall[:, -1:]], axis=1)
    return np.stack([2 * tall, tall + right], axis=2).reshape(tall.shape[0], -1)
