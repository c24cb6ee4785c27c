import numpy as np
import pytest

from armory_skelevision.datasets import load_video
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

FRAMES = np.full((4, 40, 60, 3), 51, dtype=np.uint8)
BOXES = np.array([[10, 5, 20, 35]] * 4)


def test_a_packaged_video_comes_with_its_annotations():
    video = load_video("walkers/mini/1")
    source = read_split(SPLITS / "mini")[1]
    assert np.array_equal(np.round(video.frames * 255), source.read_frames())
    assert video.frames.dtype == np.float32
    assert np.array_equal(video.boxes_xyxy, source.boxes_xyxy)
    assert video.frame_rate == source.frame_rate
    assert np.array_equal(video.gs_coords, source.gs_coords)
    assert np.array_equal(video.patch_metadata["masks"][..., 2], source.decode_masks())
    assert video.name == "walkers/mini/1"


def test_all_packaged_videos_have_a_name():
    with pytest.raises(InvalidValueError) as error:
        load_video("walkers/mini/3")
    assert "walkers/mini/0 to walkers/mini/2" in error.value.expected
    assert "walkers/dev/0 to walkers/dev/19" in error.value.expected


def test_a_slice_is_a_video_with_the_same_part_of_everything():
    video = load_video("walkers/mini/0")
    part = video[5:9]
    assert len(part) == 4
    for key in ("frames", "boxes_xyxy", "gs_coords", "masks", "keypoints"):
        assert np.array_equal(getattr(part, key), getattr(video, key)[5:9])
    assert (part.name, part.frame_rate) == (video.name, video.frame_rate)


def test_one_frame_by_its_number_is_refused():
    with pytest.raises(InvalidTypeError):
        load_video(FRAMES, BOXES)[0]


@pytest.mark.parametrize("frames", [FRAMES, FRAMES / 255, (FRAMES / 255).astype(np.float16), list(FRAMES)])
def test_own_frames_become_floats(frames):
    video = load_video(frames, BOXES, name="mine", frame_rate=10)
    assert video.frames.dtype == np.float32
    assert video.frames == pytest.approx(0.2, abs=1e-3)
    assert video.boxes_xyxy.tolist() == BOXES.tolist()
    assert (video.name, video.frame_rate, video.patch_metadata) == ("mine", 10, {})


def test_a_screen_of_ones_own_that_stands_still_and_is_seen_everywhere():
    corners = [[0, 0], [30, 0], [30, 20], [0, 20]]
    video = load_video(FRAMES, BOXES, gs_coords=corners)
    assert video.gs_coords.tolist() == [corners] * 4
    assert video.patch_metadata["masks"].shape == FRAMES.shape
    assert video.patch_metadata["masks"].all()


def test_masks_with_channels_lose_them():
    masks = np.zeros(FRAMES.shape, dtype=np.uint8)
    masks[:, 3] = 1
    video = load_video(FRAMES, BOXES, gs_coords=np.zeros((4, 4, 2)), masks=masks)
    assert np.array_equal(video.masks, masks[..., 0])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"source": FRAMES}, "boxes_xyxy"),
        ({"source": FRAMES, "boxes_xyxy": BOXES[:3]}, "boxes_xyxy"),
        ({"source": FRAMES, "boxes_xyxy": BOXES * np.nan}, "boxes_xyxy"),
        ({"source": FRAMES[0], "boxes_xyxy": BOXES}, "frames"),
        ({"source": FRAMES[:0], "boxes_xyxy": BOXES[:0]}, "frames"),
        ({"source": FRAMES.astype(np.int64), "boxes_xyxy": BOXES}, "frames"),
        ({"source": FRAMES.astype(np.float32), "boxes_xyxy": BOXES}, "frames"),
        ({"source": FRAMES * np.nan, "boxes_xyxy": BOXES}, "frames"),
        ({"source": FRAMES, "boxes_xyxy": BOXES, "gs_coords": np.zeros((3, 4, 2))}, "gs_coords"),
        ({"source": FRAMES, "boxes_xyxy": BOXES, "gs_coords": np.zeros((4, 2)), "masks": np.ones((4, 9, 9))}, "masks"),
        ({"source": "a_video.mp4"}, "source"),
    ],
)
def test_what_is_no_video_is_refused(arguments, key):
    with pytest.raises(InvalidValueError) as error:
        load_video(**arguments)
    assert error.value.key == key
