import numpy as np
import pytest
import torch
from doubles import screen_scene, tiny_estimator

from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.attacks.patch.screen import (
    GREEN_SCREEN_VALUE,
    PatchedFrames,
    _make_view,
    _patch_grid,
    move_corners,
    view_screens,
)
from armory_skelevision.tracking import VideoFrames, Window
from armory_skelevision.validation import InvalidValueError


def patched_scene(patch, scene=None, shaded=True, dtype=torch.float32):
    x, _, metadata = scene or screen_scene()
    target_xyxy = np.array([[0.0, 0.0, 20.0, 20.0]])  # any box inside the frame
    read = read_scene(x[0], target_xyxy, {**metadata[0], "shading": shaded}, torch.device("cpu"), 0)
    return PatchedFrames(VideoFrames(torch.from_numpy(x[0]).to(dtype)), read.views, patch)


def random_patch(seed=0):
    return torch.rand(67, 72, 3, generator=torch.Generator().manual_seed(seed))


WINDOWS = {
    "inside": Window(50, 30, 60),
    "across the border": Window(-20, 60, 100),
    "larger than the frame": Window(-60, -80, 300),
    "patch partly outside": Window(90, 10, 70),
    "away from the screen": Window(0, 0, 20),
    "outside the frame": Window(400, 400, 30),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_rendered_crop_equals_crop_of_rendered_frame(window):
    frames = patched_scene(random_patch())
    whole = VideoFrames(frames.render())
    for index in range(len(frames)):
        difference = (frames.window(index, window) - whole.window(index, window)).abs().max()
        assert difference <= 1e-6


def test_patch_partly_outside_the_frame_is_rendered_alike():
    x, labels, metadata = screen_scene()
    metadata[0]["gs_coords"] = metadata[0]["gs_coords"] + np.array([80, 50])
    metadata[0]["masks"] = np.ones_like(metadata[0]["masks"])
    frames = patched_scene(random_patch(), (x, labels, metadata))
    whole = VideoFrames(frames.render())
    for window in WINDOWS.values():
        assert (frames.window(2, window) - whole.window(2, window)).abs().max() <= 1e-6
    assert (whole.video[2] - torch.from_numpy(x[0, 2])).abs().max() > 0.1


def test_four_corners_serve_all_frames():
    x, labels, metadata = screen_scene()
    still = metadata[0]["gs_coords"][0]
    everywhere = [{**metadata[0], "gs_coords": still[None].repeat(len(x[0]), axis=0)}]
    once = patched_scene(random_patch(), (x, labels, [{**metadata[0], "gs_coords": still}])).render()
    torch.testing.assert_close(once, patched_scene(random_patch(), (x, labels, everywhere)).render())


def test_only_visible_screen_changes():
    x, _, metadata = screen_scene()
    changed = (patched_scene(random_patch()).render() - torch.from_numpy(x[0])).abs().amax(dim=-1) > 1e-6
    visible = torch.from_numpy(metadata[0]["masks"][..., 0] > 0)
    assert not (changed & ~visible).any()
    assert (changed & visible).sum() > 0.8 * visible.sum()


def test_patch_corners_land_on_screen_corners():
    quad = np.array([[40.0, 25], [110, 30], [108, 88], [42, 92]])
    view = _make_view(quad, np.ones((120, 160), dtype=bool), True)
    grid = _patch_grid(view.homography, (slice(20, 100), slice(30, 120)), torch.zeros(1))
    expected = {(25, 40): (-1, -1), (30, 110): (1, -1), (88, 108): (1, 1), (92, 42): (-1, 1)}
    for (y, x), corner in expected.items():
        # The corner lies on a pixel's edge, between the centres of its neighbours.
        around = grid[y - 21 : y - 19, x - 31 : x - 29].mean(dim=(0, 1))
        torch.testing.assert_close(around, torch.tensor(corner, dtype=around.dtype), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("left", "top", "right", "bottom"), [(40, 25, 60, 45), (40.3, 25.75, 60.6, 45.1)])
def test_pixels_at_the_edge_show_the_share_of_the_patch_that_covers_them(left, top, right, bottom):
    height, width = 80, 100
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)
    view = _make_view(corners, np.ones((height, width), dtype=bool), False)
    grey = VideoFrames(torch.full((1, height, width, 3), 0.5))
    shown = PatchedFrames(grey, [view], torch.ones(8, 8, 3)).render()[0]
    x, y = (torch.arange(size, dtype=torch.float64) for size in (width, height))
    columns = (torch.minimum(x + 1, torch.tensor(right)) - torch.maximum(x, torch.tensor(left))).clamp(min=0)
    rows = (torch.minimum(y + 1, torch.tensor(bottom)) - torch.maximum(y, torch.tensor(top))).clamp(min=0)
    # at a corner, where two edges meet, a pixel shows the smaller share
    expected = torch.minimum(rows[:, None], columns).float()[..., None].expand(-1, -1, 3)
    torch.testing.assert_close(shown, 0.5 + 0.5 * expected, atol=1e-5, rtol=0)


def square(left, top, side):
    return np.array([[left, top], [left + side, top], [left + side, top + side], [left, top + side]], np.float64)


BLACK = VideoFrames(torch.zeros(3, 30, 40, 3))


def test_a_patch_of_the_screens_size_is_shown_pixel_by_pixel():
    patch = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(0))
    view = _make_view(square(5, 9, 8), np.ones((30, 40), dtype=bool), False)
    shown = PatchedFrames(BLACK, [view] * 3, patch).render()[1]
    torch.testing.assert_close(shown[9:17, 5:13], patch, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("left", "top"), [(-3, -4), (5, 9), (34, 25)])
def test_a_screen_covers_what_lies_inside_the_frame_and_nothing_else(left, top):
    grey, masks = VideoFrames(torch.full((1, 30, 40, 3), 0.5)), np.ones((1, 30, 40), dtype=bool)
    views = view_screens(grey, square(left, top, 12)[None], masks, False)
    frames = PatchedFrames(grey, views, torch.ones(8, 8, 3))
    expected = torch.full((30, 40, 3), 0.5)
    expected[max(top, 0) : top + 12, max(left, 0) : left + 12] = 1
    torch.testing.assert_close(frames.render()[0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(frames.mean_colour, expected.mean(dim=(0, 1)))


def test_moved_corners_are_those_of_another_screen_unless_they_fold_it():
    mask, moves = np.ones((30, 40), dtype=bool), np.array([[1.0, -1], [2, 0.5], [0, 3], [-1, 1]])
    view = _make_view(square(5, 9, 8), mask, True)
    moved, expected = move_corners(view, moves), _make_view(square(5, 9, 8) + moves, mask, True)
    assert moved.region == expected.region and moved.shaded and moved.mask is mask
    for name in ("corners_xy", "homography", "edges"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(expected, name))
    assert move_corners(view, np.array([[20.0, 0], [0, 0], [0, 0], [0, 0]])) is view


def test_only_frames_in_which_something_of_the_screen_is_seen_have_a_view():
    masks = np.zeros((3, 30, 40), dtype=bool)
    masks[0, 25:] = True  # not where the screen is
    masks[1:, 10:12, 6:8] = True
    views = view_screens(BLACK, np.stack([square(5, 9, 8)] * 3), masks, False)
    assert views[0] is None and views[1] is not None and views[2] is not None


@pytest.mark.parametrize("side", [0.1, 1])
def test_small_screens_are_screens_and_those_without_an_area_are_none(side):
    masks = np.ones((3, 30, 40), dtype=bool)
    assert None not in view_screens(BLACK, np.stack([square(5, 9, side)] * 3), masks, False)
    for corners in (square(5, 9, 0), square(5, 9, side)[::-1]):
        with pytest.raises(InvalidValueError):
            view_screens(BLACK, np.stack([corners] * 3), masks, False)


def test_patch_takes_on_the_screens_brightness():
    x, labels, metadata = screen_scene()
    white = torch.full((67, 72, 3), 0.5)
    bright = patched_scene(white, (x, labels, metadata)).render()
    dark_x = x.copy()
    dark_x[0] *= 0.5
    dark = patched_scene(white, (dark_x, labels, metadata)).render()
    spot = (slice(0, 1), slice(35, 38), slice(50, 55))
    torch.testing.assert_close(dark[spot], bright[spot] / 2)
    assert bright[0, 36, 52, 0].item() == pytest.approx(0.5 * 0.9, abs=1e-4)
    unshaded = patched_scene(white, (x, labels, metadata), shaded=False).render()
    torch.testing.assert_close(unshaded[spot], torch.full_like(unshaded[spot], 0.5))


def test_identity_patch_of_the_screens_own_colour_changes_little():
    green = torch.tensor([0, GREEN_SCREEN_VALUE, 0.2275]).expand(67, 72, 3)
    x, _, _ = screen_scene()
    frames = patched_scene(green)
    inside = (slice(0, 5), slice(33, 86), slice(50, 58))
    assert (frames.render()[inside] - torch.from_numpy(x[0])[inside]).abs().max() < 0.03


def test_gradcheck_of_the_warp():
    x, labels, _ = screen_scene(frames=2, height=40, width=48)
    corners = np.array([[[10, 6], [30, 8], [29, 26], [11, 28]]] * 2)
    scene = (x, labels, [{"gs_coords": corners, "masks": np.ones(x[0].shape[:3])}])
    patch = torch.rand(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2

    def crop(patch):
        frames = patched_scene(patch, scene, shaded=False, dtype=torch.float64)
        return torch.cat([frames.window(1, window).flatten() for window in (Window(8, 5, 12), Window(20, 15, 40))])

    assert torch.autograd.gradcheck(crop, (patch.requires_grad_(),))


@pytest.mark.parametrize("case", range(20))
def test_gradient_equals_autograd_through_whole_frames(case):
    rng = np.random.default_rng(case)
    scene = screen_scene(frames=3, seed=case)
    scene[2][0]["gs_coords"] = scene[2][0]["gs_coords"] + rng.integers(-40, 40, size=2)
    scene[2][0]["masks"] = np.ones_like(scene[2][0]["masks"])
    box = torch.tensor(scene[1][0]["boxes"][0]) + torch.tensor(rng.integers(-15, 15, size=2)).repeat(2)
    estimator = tiny_estimator(seed=case)
    patch = random_patch(case).requires_grad_()
    frames = patched_scene(patch, scene)
    truth = torch.tensor(scene[1][0]["boxes"])
    directly = torch.autograd.grad((estimator.track(frames, box) - truth).abs().sum(), patch)[0]
    rendered = VideoFrames(frames.render())
    through_frames = torch.autograd.grad((estimator.track(rendered, box) - truth).abs().sum(), patch)[0]
    assert directly.abs().max() > 0
    cosine = torch.cosine_similarity(directly.double().flatten(), through_frames.double().flatten(), dim=0)
    assert cosine >= 0.9999


@pytest.mark.parametrize(
    ("key", "value", "expected", "got"),
    [
        ("gs_coords", np.zeros((3, 4, 2)), "shape (4, 2) or (5, 4, 2)", "shape (3, 4, 2)"),
        ("gs_coords", np.full((4, 2), np.nan), "finite corners", "NaN or infinity"),
        ("masks", np.ones((5, 10, 10)), "shape (5, 120, 160[, 3])", "shape (5, 10, 10)"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(key, value, expected, got):
    x, y, metadata = screen_scene()
    with pytest.raises(InvalidValueError) as caught:
        read_scene(x[0], y[0]["boxes"], {**metadata[0], key: value}, torch.device("cpu"), 0)
    assert caught.value.key == f"y_patch_metadata[0].{key}"
    assert (caught.value.expected, caught.value.got) == (expected, got)


def test_missing_metadata_is_named():
    x, y, _ = screen_scene()
    with pytest.raises(InvalidValueError) as caught:
        read_scene(x[0], y[0]["boxes"], {"gs_coords": np.zeros((4, 2))}, torch.device("cpu"), 0)
    assert (caught.value.key, caught.value.got) == ("y_patch_metadata[0].masks", "none")


def test_corners_in_the_wrong_order_are_refused():
    x, labels, metadata = screen_scene()
    metadata[0]["gs_coords"] = metadata[0]["gs_coords"][:, [0, 2, 1, 3]]
    with pytest.raises(InvalidValueError) as caught:
        patched_scene(random_patch(), (x, labels, metadata))
    assert (caught.value.key, caught.value.expected) == ("gs_coords[0]", "the corners of a convex screen")
