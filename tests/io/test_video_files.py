"""Videos come back as they were written, and broken ones are refused."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from armory_skelevision.io.video_files import read_video, write_video
from armory_skelevision.validation import InvalidValueError, MissingFileError


def _frames(count: int = 5, height: int = 48, width: int = 64) -> np.ndarray:
    """Soft coloured gradients that drift."""
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([40 + 2 * x + f, 30 + 3 * y, 200 - x - y + 2 * f], axis=-1) for f in range(count)]
    return np.clip(frames, 0, 255).astype(np.uint8)


def test_round_trip_keeps_shape_order_and_colours(tmp_path):
    frames = _frames()
    write_video(tmp_path / "a.mp4", frames, 12.0, crf=4)
    back = read_video(tmp_path / "a.mp4")
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - frames).mean() < 2.0
    assert np.abs(back[1:].astype(int) - back[:-1]).mean() > 0.3  # the frames differ, as those written do


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 144, 58), (128, 128, 128)])
def test_flat_colours_survive_within_rounding(tmp_path, colour):
    frames = np.full((2, 32, 32, 3), colour, dtype=np.uint8)
    write_video(tmp_path / "a.mp4", frames, 12.0, crf=0)
    assert np.abs(read_video(tmp_path / "a.mp4").astype(int) - colour).max() <= 3


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, _frames(), 12.0)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError) as caught:
        read_video(tmp_path / "gone.mp4")
    assert caught.value.key == str(tmp_path / "gone.mp4")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "a.mp4"
    write_video(path, _frames(12), 12.0)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidValueError) as caught:
        read_video(path)
    assert caught.value.key == str(path)


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("not a video")
    with pytest.raises(InvalidValueError) as caught:
        read_video(path)
    assert (caught.value.key, caught.value.expected) == (str(path), "an intact video")


@pytest.mark.parametrize(
    ("shape", "kind"), [((2, 31, 32, 3), np.uint8), ((2, 32, 32, 3), np.float64), ((32, 32, 3), np.uint8)]
)
def test_wrong_frames_are_refused(tmp_path, shape, kind):
    frames = np.zeros(shape, kind)
    with pytest.raises(InvalidValueError) as caught:
        write_video(tmp_path / "a.mp4", frames, 12.0)
    assert caught.value.key == "frames"
    assert not list(tmp_path.iterdir())


# how other encoders store colours, aspect ratios and fields: by the options that say so
OTHERS = {
    "BT.601": ["-colorspace", "smpte170m", "-vf", "scale=out_color_matrix=bt601:out_range=tv", "-pix_fmt", "yuv420p"],
    "not tagged": ["-pix_fmt", "yuv420p"],
    "full range": ["-colorspace", "bt709", "-color_range", "pc", "-pix_fmt", "yuvj420p"],
    "10 bits": ["-colorspace", "bt709", "-color_range", "tv", "-pix_fmt", "yuv420p10le"],
    "wide pixels": ["-colorspace", "bt709", "-color_range", "tv", "-vf", "setsar=2", "-pix_fmt", "yuv420p"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_videos_that_would_look_different_are_refused(tmp_path, name):
    path, frames = tmp_path / "a.mp4", _frames()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48"]
    command += ["-i", "-", *OTHERS[name], "-c:v", "libx264", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)
    with pytest.raises(InvalidValueError) as caught:
        read_video(path)
    assert caught.value.key == str(path)
    assert "yuv" in caught.value.got
