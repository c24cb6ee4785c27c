"""A written video is there whole or not at all."""

import numpy as np
import pytest

from armory_skelevision.io.video_files import read_video
from armory_skelevision.io.video_writer import open_writer
from armory_skelevision.validation import InvalidValueError

FRAME = np.full((32, 48, 3), 90, np.uint8)


def write_all(writer, frames):
    for frame in frames:
        writer.write(frame)


def test_frames_are_added_one_by_one(tmp_path):
    with open_writer(tmp_path / "a.mp4", (48, 32), 10.0) as writer:
        for shade in (40, 200):
            writer.write(FRAME // 90 * np.uint8(shade))
    back = read_video(tmp_path / "a.mp4")
    assert back.shape == (2, 32, 48, 3)
    assert back[0].mean() == pytest.approx(40, abs=3) and back[1].mean() == pytest.approx(200, abs=3)


def test_nothing_is_left_of_a_video_that_was_interrupted(tmp_path):
    def frames():
        yield FRAME
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_writer(tmp_path / "a.mp4", (48, 32), 10.0) as writer:
        write_all(writer, frames())
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_refuses_is_said(tmp_path):
    with pytest.raises(RuntimeError, match=r"a\.mp4"), open_writer(tmp_path / "gone" / "a.mp4", (48, 32), 10) as writer:
        write_all(writer, [FRAME] * 2000)  # more than a pipe holds
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frame", [FRAME[:-2], FRAME.astype(float), FRAME[..., :2]])
def test_other_frames_and_odd_sides_are_refused(tmp_path, frame):
    with pytest.raises(InvalidValueError), open_writer(tmp_path / "a.mp4", (48, 32), 10.0) as writer:
        writer.write(frame)
    with pytest.raises(InvalidValueError), open_writer(tmp_path / "a.mp4", (47, 32), 10.0):
        pass
    assert not list(tmp_path.iterdir())
