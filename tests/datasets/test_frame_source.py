"""Video files, folders of pictures and sequences, frame by frame: right, or refused by name."""

import os
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from sequence_data import BOXES_XYWH, NAMES, write_image, write_layout

from armory_skelevision.datasets import frame_source, load_video, open_frames
from armory_skelevision.datasets.layouts import LAYOUTS
from armory_skelevision.io.images import read_image
from armory_skelevision.validation import InvalidValueError, MissingFileError

COLOURS = [(200, 30, 40), (20, 180, 60), (40, 50, 210), (220, 220, 220), (90, 90, 20)]


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def write_video(path: Path, *options: str, frames: int = 5, size: tuple[int, int] = (64, 48), rate: str = "10") -> Path:
    """A video whose frames are of one colour each, with a white stripe along the upper edge."""
    pictures = np.empty((frames, size[1], size[0], 3), np.uint8)
    pictures[:] = np.array([COLOURS[number % 5] for number in range(frames)])[:, None, None]
    pictures[:, : size[1] // 4] = 255
    raw = path.with_suffix(".raw")
    raw.write_bytes(pictures.tobytes())
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", rate, "-i", raw]
    ffmpeg(*source, *(options or ("-c:v", "libx264", "-pix_fmt", "yuv444p", "-crf", "1")), path)
    raw.unlink()
    return path


def colours(path: Path) -> list[list[int]]:
    """The colour in the lower half of each frame."""
    return [frame[-8:, 20:-20].mean(axis=(0, 1)).round().astype(int).tolist() for frame in open_frames(path)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "1")),
        ("a.MOV", ("-c:v", "libx264", "-pix_fmt", "yuv444p", "-crf", "1", "-f", "mov")),
        ("a.mov", ("-c:v", "png")),
        ("a.avi", ("-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj444p")),
        ("a.mkv", ("-c:v", "ffv1")),
        ("fragments.mp4", ("-c:v", "libx264", "-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_frames_come_out_in_order_and_colour(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    path = write_video(tmp_path / name, *options)
    frames = open_frames(path)
    assert (frames.name, frames.size, frames.fps, frames.count) == (path.stem, (64, 48), 10, 5)
    read = list(frames)
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 and frame.flags.writeable for frame in read)
    np.testing.assert_allclose(colours(path), COLOURS, atol=6)
    assert len(list(frames)) == 5  # again, from the start


def test_pixels_are_those_of_opencv(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", "-vf", "noise=alls=60", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    capture = cv2.VideoCapture(str(path))
    for frame in open_frames(path):
        assert abs(frame.astype(int) - capture.read()[1][..., ::-1]).max() <= 2
    assert not capture.read()[0]


@pytest.mark.parametrize("size", [(63, 47), (33, 101)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "odd.mp4", size=size)
    assert open_frames(path).size == size
    assert [frame.shape for frame in open_frames(path)] == [(size[1], size[0], 3)] * 5


def test_4k(tmp_path: Path) -> None:
    path = write_video(tmp_path / "4k.mp4", "-c:v", "libx264", "-preset", "ultrafast", frames=1, size=(3840, 2160))
    assert open_frames(path).size == (3840, 2160)
    np.testing.assert_allclose(colours(path), COLOURS[:1], atol=8)


@pytest.mark.parametrize(("turned", "stripe"), [(90, np.s_[:, :8]), (180, np.s_[-8:]), (270, np.s_[:, -8:])])
def test_rotation_is_honoured(tmp_path: Path, turned: int, stripe: object) -> None:
    source = write_video(tmp_path / "a.mp4")
    ffmpeg("-display_rotation", turned, "-i", source, "-c", "copy", tmp_path / "turned.mp4")
    frames = open_frames(tmp_path / "turned.mp4")
    assert frames.size == ((64, 48) if turned == 180 else (48, 64))
    for frame in frames:
        assert frame.shape[:2] == frames.size[::-1]
        assert (frame[stripe] > 240).all()  # the upper edge, counter-clockwise


def test_a_variable_frame_rate_gives_every_frame_once_and_its_mean_rate(tmp_path: Path) -> None:
    taken = [0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 15, 18]
    gaps = ("-vf", "select='lt(n,8)+not(mod(n,3))'", "-fps_mode", "vfr", "-c:v", "libx264", "-crf", "1")
    path = write_video(tmp_path / "vfr.mp4", *gaps, frames=20)
    np.testing.assert_allclose(colours(path), [COLOURS[number % 5] for number in taken], atol=6)
    frames = open_frames(path)
    assert (frames.fps, frames.count) == (8, 12)  # 12 frames in a second and a half


def test_fractional_rates(tmp_path: Path) -> None:
    assert open_frames(write_video(tmp_path / "ntsc.mp4", rate="30000/1001")).fps == pytest.approx(29.97)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_truncated_videos_are_refused(tmp_path: Path, share: float) -> None:
    path = write_video(tmp_path / "a.mp4", frames=20)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidValueError) as caught:
        list(open_frames(path))
    assert caught.value.key == str(path)


def test_a_video_that_is_cut_off_in_its_frames_is_refused_after_them(tmp_path: Path) -> None:
    noise = ("-vf", "noise=alls=90", "-c:v", "libx264", "-movflags", "+faststart")
    path = write_video(tmp_path / "a.mp4", *noise, frames=40)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.8)])
    seen: list[np.ndarray] = []
    with pytest.raises(InvalidValueError) as caught:
        seen.extend(open_frames(path))
    assert caught.value.key == str(path) and 0 < len(seen) < 40
    assert f"after {len(seen)} frames" in caught.value.got


def test_a_damaged_video_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", "-vf", "noise=alls=90", "-c:v", "libx264", frames=20)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    seen: list[np.ndarray] = []
    with pytest.raises(InvalidValueError) as caught:
        seen.extend(open_frames(path))
    assert caught.value.key == str(path) and len(seen) < 20


def test_videos_without_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", path)
    with pytest.raises(InvalidValueError) as caught:
        open_frames(path)
    assert caught.value.key == str(path)
    empty = tmp_path / "empty.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1", "-t", "0", "-c:v", "libx264", "-movflags", "+empty_moov", empty)
    with pytest.raises(InvalidValueError) as caught:
        open_frames(empty)
    assert caught.value.key == str(empty)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.mp4", b""),
        ("a.mp4", b"no video at all"),
        ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(100)),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"),
        ("a.gif", b"GIF89a" + bytes(20)),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidValueError) as caught:
        open_frames(tmp_path / name)
    assert caught.value.key == str(tmp_path / name)


def test_what_is_not_there_and_pipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as caught:
        open_frames(tmp_path / "gone.mp4")
    assert caught.value.key == str(tmp_path / "gone.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InvalidValueError):
        open_frames(tmp_path / "pipe.mp4")


def test_a_video_that_is_left_early_leaves_no_process(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=200)
    frames = iter(open_frames(path))
    next(frames)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    running = children.read_text().split()
    assert running
    frames.close()  # type: ignore[attr-defined]
    assert len(children.read_text().split()) == len(running) - 1


def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (0, 1, 2, 10, 100):
        write_image(tmp_path / f"street {number}.png", number)
    (tmp_path / "notes.txt").touch()
    frames = open_frames(tmp_path)
    assert (frames.name, frames.size, frames.count, frames.fps) == (tmp_path.name, (64, 48), 5, 30)
    for number, frame in zip((0, 1, 2, 10, 100), frames, strict=True):
        np.testing.assert_array_equal(frame, read_image(tmp_path / f"street {number}.png"))


def test_pictures_of_two_sizes_are_refused_by_name(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png")
    write_image(tmp_path / "2.png", size=(60, 48))
    with pytest.raises(InvalidValueError) as caught:
        list(open_frames(tmp_path))
    assert (caught.value.key, caught.value.got) == (str(tmp_path / "2.png"), "60×48")


def test_pictures_elsewhere_and_empty_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    with pytest.raises(InvalidValueError) as caught:
        open_frames(folder)
    assert caught.value.key == str(folder)
    write_image(tmp_path / "1.png")
    (folder / "1.png").symlink_to(tmp_path / "1.png")
    with pytest.raises(InvalidValueError) as caught:
        open_frames(folder)
    assert caught.value.key == str(folder / "1.png")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sequences_of_every_layout_are_videos(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    path = tmp_path / NAMES[layout]
    video = load_video(path, layout=layout, max_frames=3)
    assert (video.name, video.frames.shape) == (NAMES[layout], (3, 48, 64, 3))
    assert video.frame_rate == {"got10k": 10, "davis": 24}.get(layout, 30)
    boxes_xyxy = [[x, y, x + w, y + h] for x, y, w, h in BOXES_XYWH[:3]]
    np.testing.assert_allclose(video.boxes_xyxy, np.round(boxes_xyxy) if layout == "davis" else boxes_xyxy)
    frames = open_frames(path, layout)
    assert (frames.name, frames.count) == (NAMES[layout], 4)
    np.testing.assert_array_equal(np.round(video.frames[2] * 255), list(frames)[2])
    with pytest.raises(InvalidValueError) as caught:
        load_video(path, layout=layout, box_xywh=(1, 2, 30, 30))
    assert caught.value.key == "box_xywh"


def test_the_folder_of_a_sequence_needs_no_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_layout(tmp_path, "otb")
    monkeypatch.chdir(tmp_path)
    assert load_video("Crossing").boxes_xyxy[0].tolist() == [10, 8, 30, 38]
    monkeypatch.chdir(tmp_path / "Crossing")
    assert load_video(".").name == load_video("img/..").name == "Crossing"


def test_a_file_with_the_first_box_is_a_video_without_truth(tmp_path: Path) -> None:
    path = write_video(tmp_path / "street.mp4")
    video = load_video(str(path), box_xywh=(10, 12.5, 20, 30))
    assert (video.name, video.frame_rate, video.is_annotated) == ("street", 10, False)
    assert video.boxes_xyxy.tolist() == [[10, 12.5, 30, 42.5], *[[0, 0, 0, 0]] * 4]
    named = load_video(path, np.tile([1, 2, 30, 40], (2, 1)), name="mine", frame_rate=5, max_frames=2)
    assert (named.name, named.frame_rate, len(named), named.is_annotated) == ("mine", 5, 2, True)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({}, "boxes_xyxy"),
        ({"box_xywh": (1, 2, 3)}, "box_xywh"),
        ({"box_xywh": (1, 2, 0, 3)}, "box_xywh"),
        ({"box_xywh": (1, 2, float("nan"), 3)}, "box_xywh"),
        ({"box_xywh": (1, 2, 3, 4), "boxes_xyxy": [[1, 2, 3, 4]] * 5}, "box_xywh"),
        ({"boxes_xyxy": [[1, 2, 3, 4]] * 4}, "boxes_xyxy"),
        ({"box_xywh": (1, 2, 3, 4), "max_frames": 0}, "max_frames"),
        ({"box_xywh": (1, 2, 3, 4), "masks": np.ones((5, 48, 64))}, "masks"),
    ],
)
def test_boxes_of_a_file_that_are_wrong_are_refused(tmp_path: Path, arguments: dict[str, object], key: str) -> None:
    path = write_video(tmp_path / "street.mp4")
    with pytest.raises(InvalidValueError) as caught:
        load_video(path, **arguments)
    assert caught.value.key == key


def test_more_than_memory_may_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "street.mp4")
    monkeypatch.setattr(frame_source, "MAX_PIXELS", 4 * 64 * 48)
    with pytest.raises(InvalidValueError) as caught:
        load_video(path, box_xywh=(1, 2, 30, 40))
    assert caught.value.key == "street" and caught.value.expected.startswith("at most 4 frames of 64×48")
    assert len(load_video(path, box_xywh=(1, 2, 30, 40), max_frames=4)) == 4
