"""Composed pairs: reproducible, of the right shapes, with boxes and keypoints where the figure was painted."""

import cv2
import numpy as np
import pytest
from handmade_store import draw_person, make_store

from armory_skelevision.training.data.affine import move_points
from armory_skelevision.training.data.pair import MIRRORED_KEYPOINTS, crop_height
from armory_skelevision.training.data.rendered_pairs.composing import RenderedPairSampler
from armory_skelevision.training.data.rendered_pairs.compositing import PlacedCutout, colour_matrix, paste, place
from armory_skelevision.training.data.rendered_pairs.degradation import degrade, draw_degradation
from armory_skelevision.training.data.rendered_pairs.store import RenderedStore, make_cutout
from armory_skelevision.validation import InvalidValueError


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    store = RenderedStore(make_store(tmp_path_factory.mktemp("compose") / "store"))
    return RenderedPairSampler(store, textures=4, objects=12)


def test_pairs_are_reproducible_and_well_formed(sampler):
    for index in range(40):
        pair, again = (sampler.sample(np.random.default_rng((5, index))) for _ in range(2))
        for one, other in zip(pair, again, strict=True):
            np.testing.assert_array_equal(one, other)
        assert pair.template.shape == (127, 127, 3)
        assert pair.search.shape == (255, 255, 3)
        assert pair.template.dtype == pair.search.dtype == np.uint8
        x1, y1, x2, y2 = pair.box_xyxy
        assert 0 <= x1 < x2 <= 255
        assert 0 <= y1 < y2 <= 255
        assert (x2 - x1) * (y2 - y1) > 300
        labelled = pair.keypoints[pair.keypoints[:, 2] > 0]
        assert ((labelled[:, :2] >= 0) & (labelled[:, :2] < 127)).all()


def test_other_sides_of_the_search_crop(tmp_path):
    sampler = RenderedPairSampler(RenderedStore(make_store(tmp_path / "store")), textures=2, objects=5, search_side=191)
    pair = sampler.sample(np.random.default_rng(0))
    assert pair.search.shape == (191, 191, 3)
    assert pair.box_xyxy.max() <= 191


def test_negative_pairs_show_somebody_else_in_the_targets_place(tmp_path):
    store = RenderedStore(make_store(tmp_path / "store"))
    always, never = (
        RenderedPairSampler(store, textures=2, objects=5, negative_pair_ratio=share) for share in (0.999, 0.0)
    )
    for index in range(20):
        negative, target = (sampler.sample(np.random.default_rng((3, index))) for sampler in (always, never))
        assert target.is_positive and not negative.is_positive
        np.testing.assert_array_equal(negative.template, target.template)
        assert (negative.search != target.search).any()
        assert target.distractors_xyxy.shape[1:] == (4,) and target.distractors_xyxy.dtype == np.float32
    one = RenderedStore(make_store(tmp_path / "one", people=1))
    with pytest.raises(InvalidValueError) as caught:
        RenderedPairSampler(one, textures=2, objects=5, negative_pair_ratio=0.2)
    assert caught.value.key == "negative_pair_ratio"


def test_the_target_is_replaced_by_somebody_else(sampler):
    plans = [sampler._draw_plan(np.random.default_rng((4, index))) for index in range(60)]
    for plan in plans:
        other = sampler._replace_target(plan, np.random.default_rng(0))
        assert len({id(view) for view in plan.views} & {id(view) for view in other.views}) == 0
    assert {plan.is_person for plan in plans} == {True, False}


@pytest.mark.parametrize("mirror", [False, True])
def test_keypoints_and_box_land_where_they_are_drawn(mirror):
    picture, keypoints = draw_person([(60, 60, 60)] * 3)
    for x, y, _ in keypoints:
        cv2.circle(picture, (int(x), int(y)), 2, (255, 255, 255, 255), -1)
    cutout = make_cutout(picture, keypoints)
    matrix = place(cutout, 90.0, (70.0, 60.0), 0.15, mirror)
    placed = PlacedCutout(cutout, matrix)
    canvas = np.zeros((127, 127, 3), np.uint8)
    paste(canvas, placed)
    for x, y in move_points(matrix, keypoints[:, :2]):
        assert canvas[int(y), int(x)].min() > 130
    ys, xs = np.nonzero(canvas[..., 0] > 30)
    drawn = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    np.testing.assert_allclose(placed.box_xyxy, drawn, atol=1)


def test_mirroring_swaps_left_and_right_keypoints(sampler):
    left, right = 5, 6  # shoulders; in these frontal figures the left one is on the picture's right side
    for index in range(30):
        keypoints = sampler.sample(np.random.default_rng((9, index))).keypoints
        if keypoints[left, 2] and keypoints[right, 2]:
            assert keypoints[left, 0] > keypoints[right, 0]
    assert [MIRRORED_KEYPOINTS[i] for i in MIRRORED_KEYPOINTS] == list(range(17))


def test_crop_height_is_that_of_the_tracker():
    width, height = 40.0, 100.0
    side = ((width + 70) * (height + 70)) ** 0.5
    assert crop_height(width, height) == pytest.approx(100 * 127 / side)


def test_recolouring_keeps_what_it_should():
    np.testing.assert_allclose(colour_matrix(0, 1, 1, 0), np.eye(4), atol=1e-6)
    grey = colour_matrix(2.0, 0.3, 1, 0) @ np.array([0.5, 0.5, 0.5, 1])
    np.testing.assert_allclose(grey, [0.5, 0.5, 0.5, 1], atol=1e-6)


def test_degraded_images_keep_size_and_type():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (83, 83, 3), dtype=np.uint8)
    for _ in range(60):
        taken = degrade(picture, draw_degradation(rng), 40.0, rng)
        assert taken.shape == picture.shape
        assert taken.dtype == np.uint8
