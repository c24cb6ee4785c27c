import numpy as np
import pytest
import torch

from armory_skelevision.datasets import load_video
from armory_skelevision.datasets.video import Video
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


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"source": None}, "source"),
        ({"source": {"frames": FRAMES}}, "source"),
        ({"source": [FRAMES[0], FRAMES[1][:3]]}, "source"),
        ({"source": FRAMES > 9}, "source"),
        ({"source": np.ma.masked_greater(FRAMES, 3)}, "source"),
        ({"boxes_xyxy": "boxes"}, "boxes_xyxy"),
        ({"boxes_xyxy": [[1, 2, 3, 4], [1]]}, "boxes_xyxy"),
        ({"gs_coords": "corners"}, "gs_coords"),
        ({"gs_coords": np.full((4, 2), np.nan)}, "gs_coords"),
        ({"gs_coords": np.zeros((4, 2)), "masks": "all"}, "masks"),
        ({"gs_coords": np.zeros((4, 2)), "masks": np.full(FRAMES.shape[:3], np.nan)}, "masks"),
        ({"name": 3}, "name"),
        ({"frame_rate": 0}, "frame_rate"),
        ({"frame_rate": float("nan")}, "frame_rate"),
        ({"frame_rate": "30"}, "frame_rate"),
    ],
)
def test_arguments_of_another_kind_are_named(arguments, key):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as error:
        load_video(**{"source": FRAMES, "boxes_xyxy": BOXES, **arguments})
    assert error.value.key == key


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: np.ascontiguousarray(frames[..., ::-1])[..., ::-1],
        np.asfortranarray,
        lambda frames: list(frames),
        lambda frames: frames.tolist(),
        lambda frames: (frames.astype(np.float64) / 255).astype(">f8"),
        torch.from_numpy,
    ],
)
def test_frames_and_boxes_as_users_have_them(change):
    if isinstance(change(FRAMES), list) and isinstance(change(FRAMES)[0], list):
        with pytest.raises(InvalidValueError):  # whole numbers of no stated range
            load_video(change(FRAMES), BOXES)
        return
    video = load_video(change(FRAMES), BOXES.tolist())
    np.testing.assert_allclose(video.frames, FRAMES / 255, atol=1e-6)
    assert video.frames.dtype == np.float32 and video.boxes_xyxy.tolist() == BOXES.tolist()


@pytest.mark.parametrize(
    "given", [{"boxes_xyxy": BOXES}, {"gs_coords": [[0, 0], [5, 0], [5, 5], [0, 5]]}, {"masks": FRAMES}]
)
def test_annotations_beside_a_packaged_video_are_refused(given):
    with pytest.raises(InvalidValueError) as caught:
        load_video("walkers/mini/0", **given)
    assert caught.value.key in given


def test_masks_without_a_screen_are_refused():
    with pytest.raises(InvalidValueError) as caught:
        load_video(FRAMES, BOXES, masks=np.ones((4, 40, 60)))
    assert caught.value.key == "masks"


def test_boxes_of_another_convention_are_refused():
    xywh = BOXES.copy()
    xywh[2] = [30, 5, 20, 35]
    with pytest.raises(InvalidValueError) as caught:
        load_video(FRAMES, xywh)
    assert caught.value.key == "boxes_xyxy" and "frame 2" in caught.value.got


@pytest.mark.parametrize(
    "changes", [{"frame_rate": "30"}, {"frame_rate": 1e300}, {"name": 3}, {"boxes_xyxy": BOXES.astype(object)}]
)
def test_what_is_no_video_is_refused_by_name(changes):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        Video(**{"frames": FRAMES / np.float32(255), "boxes_xyxy": BOXES, **changes})
    assert caught.value.key in changes
