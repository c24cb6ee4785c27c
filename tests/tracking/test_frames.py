"""Sources of pixels: the windows of a video, and arrays in any layout."""

import warnings

import numpy as np
import pytest
import torch
from doubles import unaligned

from armory_skelevision.tracking import ChosenFrames, VideoFrames, Window
from armory_skelevision.tracking.frames import as_tensor, inner_region, native_array

VIDEO = torch.rand(3, 6, 8, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("place", [(1, 2, 3), (-2, 1, 4), (5, -1, 4), (-3, -2, 12), (0, 0, 6), (30, 30, 4), (-9, 2, 5)])
def test_windows_show_the_frame_and_beyond_it_the_mean_of_frame_0(place):
    window, frames = Window(*place), VideoFrames(VIDEO)
    shown = frames.window(1, window)
    assert shown.shape == (3, window.side, window.side)
    for row, column in np.ndindex(window.side, window.side):
        y, x = window.y_min + row, window.x_min + column
        expected = VIDEO[1, y, x] if 0 <= y < 6 and 0 <= x < 8 else VIDEO[0].mean(dim=(0, 1))
        torch.testing.assert_close(shown[:, row, column], expected)


def test_the_inner_part_of_a_window_is_given_in_both_coordinates():
    assert inner_region(Window(-2, 3, 5), 8, 6) == ((slice(3, 6), slice(0, 3)), (slice(0, 3), slice(2, 5)))
    outside = inner_region(Window(8, -5, 5), 8, 6)
    assert outside == ((slice(0, 0), slice(8, 8)), (slice(0, 0), slice(0, 0)))


def test_a_video_has_its_size_and_renders_as_itself():
    frames = VideoFrames(VIDEO)
    assert (len(frames), frames.count, frames.height, frames.width) == (3, 3, 6, 8)
    assert torch.equal(frames.render(), VIDEO)
    assert torch.equal(frames.frame(2), VIDEO[2].permute(2, 0, 1))


def test_regions_have_a_start_and_a_stop_and_nothing_is_read_but_them():
    read = []

    class Recorded(VideoFrames):
        def pixels(self, index, region):
            read.append((index, region))
            return super().pixels(index, region)

    frames = Recorded(VIDEO)
    frames.window(1, Window(2, 1, 4))
    frames.frame(1)
    assert read == [(1, (slice(1, 5), slice(2, 6))), (1, (slice(0, 6), slice(0, 8)))]


def test_chosen_frames_come_in_the_order_of_their_indices():
    chosen = ChosenFrames(VideoFrames(VIDEO), [2, 0, 0, 1])
    assert (len(chosen), chosen.height, chosen.width) == (4, 6, 8)
    assert torch.equal(chosen.render(), VIDEO[[2, 0, 0, 1]])


def test_a_read_only_array_becomes_a_tensor_without_a_copy_or_a_warning():
    video = VIDEO.numpy().copy()
    video.flags.writeable = False
    warned_always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = as_tensor(video, torch.device("cpu"))
    torch.set_warn_always(warned_always)
    assert tensor.data_ptr() == video.ctypes.data and torch.equal(tensor, VIDEO)
    assert as_tensor(VIDEO, torch.device("cpu")) is VIDEO
    for given in (video, VIDEO):
        assert as_tensor(given, torch.device("meta")).device.type == "meta"


def field(array):
    """A field between others, whose strides are no multiples of its size."""
    packed = np.zeros(array.shape, dtype=[("flag", "u1"), ("value", array.dtype)])
    packed["value"] = array
    return packed["value"]


LAYOUTS = {
    "reversed": lambda array: array[:, ::-1].copy()[:, ::-1],
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "128 bits": lambda array: array.astype(np.longdouble),
    "unaligned": unaligned,
    "field": field,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_layout_keeps_its_numbers(layout):
    array = VIDEO.numpy()
    copied = native_array(layout(array))
    assert copied.dtype == (np.float64 if layout is LAYOUTS["128 bits"] else np.float32)
    np.testing.assert_array_equal(torch.from_numpy(copied), array)


def test_a_single_number_of_a_record_is_copied():
    record = np.zeros((1, 1), dtype=[("value", np.float32), ("flag", "u1")])
    assert torch.from_numpy(native_array(record["value"])).shape == (1, 1)


def repeated(array):
    return np.broadcast_to(array[0], array.shape)


@pytest.mark.parametrize(
    "view", [np.asarray, np.transpose, repeated, lambda array: array[::2], lambda array: array[:0]]
)
def test_arrays_that_fit_are_not_copied(view):
    array = view(VIDEO.numpy())
    assert native_array(array) is array
