from dataclasses import replace

import numpy as np
import pytest
import torch
from doubles import random_nanotrack, screen_scene

from armory_skelevision.attacks.patch.reach import frames_in_reach, response_size
from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import PointSettings, TrackerSettings

CPU = torch.device("cpu")
HEAVY = TrackerSettings(window_influence=0.65)


def scene_of(beside, frames=4, side=6):
    """A target of 40 x 40 pixels at rest, with a screen whose middle is ``beside`` pixels to the right of its own."""
    x, y, metadata = screen_scene(frames=frames, height=240, width=400)
    y[0]["boxes"][:] = [100, 100, 140, 140]
    left, top = 119.5 + beside - side / 2, 119.5 - side / 2
    corners = [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]
    metadata[0] = {"gs_coords": np.array(corners), "masks": np.zeros((frames, 240, 400))}
    metadata[0]["masks"][:, int(top) : int(top + side) + 1, int(left) : int(left + side) + 1] = 1
    return read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0)


@pytest.mark.parametrize("settings", [TrackerSettings(), HEAVY, replace(HEAVY, instance_size=255)])
def test_the_size_of_the_response_is_the_networks(settings):
    assert response_size(SiamRPN(), settings) == (settings.instance_size - 127) // 8 + 1


def test_nanotracks_response_is_that_of_its_published_code():
    assert response_size(random_nanotrack(), PointSettings()) == 15


def test_a_heavy_window_bounds_the_reach_as_the_formula_says():
    # 40 x 40 pixels with their context are 80 pixels of the frame, 127 of the crop: 1.5875 for each. The response is 21
    # positions of 8 pixels wide, so hann is cos(pi * d / 160) ** 2 at d pixels of the crop; .65 needs more than .4615.
    for beside in (10, 20, 30, 40, 60):
        nearest = max(beside - 3, 0) * 1.5875  # the edge of the screen that is nearest to the target
        reached = np.cos(np.pi * np.round(nearest / 8) * 8 / 160) ** 2 > 1 - 0.35 / 0.65
        np.testing.assert_array_equal(frames_in_reach(scene_of(beside), HEAVY, 21), [reached] * 3, err_msg=str(beside))
    assert frames_in_reach(scene_of(20), HEAVY, 21).all() and not frames_in_reach(scene_of(40), HEAVY, 21).any()


def test_a_light_window_reaches_as_far_as_the_search_window():
    light = TrackerSettings(window_influence=0.4)
    assert frames_in_reach(scene_of(40), light, 21).all()
    assert frames_in_reach(scene_of(48), light, 21).all(), "the outermost positions, where hann is 0"
    assert not frames_in_reach(scene_of(100), light, 21).any()
    assert frames_in_reach(scene_of(40), replace(light, window_influence=0.0), 21).all()
    assert not frames_in_reach(scene_of(0), replace(light, window_influence=1.0), 21).any()


def test_a_hidden_screen_is_out_of_reach():
    scene = scene_of(10)
    scene.views[2] = None
    assert frames_in_reach(scene, HEAVY, 21).tolist() == [True, False, True]


def test_what_counts_is_where_the_patch_is_drawn_and_not_its_bounding_box():
    x, y, metadata = screen_scene(frames=2, height=240, width=400)
    y[0]["boxes"][:] = [90, 90, 130, 130]
    corners = np.array([[20, 200], [200, 20], [204, 24], [24, 204]])  # a thin screen, past the target
    metadata[0] = {"gs_coords": corners, "masks": np.ones((2, 240, 400))}
    heavy = TrackerSettings(window_influence=0.9)
    assert frames_in_reach(read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0), heavy, 21).all()
    y[0]["boxes"][:] = [40, 40, 80, 80]
    assert not frames_in_reach(read_scene(x[0], y[0]["boxes"], metadata[0], CPU, 0), heavy, 21).any()
