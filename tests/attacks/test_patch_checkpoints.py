"""A curve over steps from one run is the curve of many."""

import logging

import numpy as np
import pytest
import torch
from doubles import ColourTracker, IdentityTracker, overlaps, random_estimator, screen_scene, tiny_estimator

from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent
from armory_skelevision.attacks.patch.checkpoints import check_checkpoints, record_mean_iou
from armory_skelevision.attacks.patch.scene import read_scene
from armory_skelevision.validation import InvalidValueError


def attack(estimator, scene=None, **kwargs):
    x, y, metadata = scene or screen_scene()
    made = PatchAttack(estimator, verbose=False, **kwargs)
    return made, made.generate(x=x, y=y, y_patch_metadata=metadata)


WAYS = [
    {"update": "sign"},
    {"update": "accumulated_sign", "keep": "last"},
    {"update": "gradient", "step_size": 0.5},
    {"momentum": 0.9, "keep": "last"},
    {"restarts": 2, "step_size": 0.3},
    {"eot": {"brightness": 0.2, "frames": 0.6, "samples": 2}},
    {"memory": "recompute", "start": "random", "seed": 5},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_checkpoints_equal_runs_of_so_many_steps(way):
    from armory.metrics.task import video_tracking_mean_iou

    _, y, _ = screen_scene()
    curve, longest = attack(tiny_estimator(), max_iter=4, checkpoints=[0, 1, 3, 4], **way)
    (found,) = curve.mean_iou
    assert list(found) == [0, 1, 3, 4] and len(set(found.values())) > 1
    for steps, mean_iou in found.items():
        estimator = tiny_estimator()
        single, patched = attack(estimator, max_iter=steps, checkpoints=[steps], **way)
        assert single.mean_iou == [{steps: mean_iou}]
        predicted = estimator.predict(patched, y_init=y[0]["boxes"][:1])
        assert mean_iou == pytest.approx(video_tracking_mean_iou(y, predicted)[0], abs=1e-6)
    np.testing.assert_array_equal(longest, patched)
    np.testing.assert_array_equal(longest, attack(tiny_estimator(), max_iter=4, **way)[1])


def test_a_checkpoint_of_a_whole_network_equals_a_run_of_so_many_steps():
    scene = screen_scene(frames=3)
    (found,) = attack(random_estimator(), scene, max_iter=2, checkpoints=[1, 2])[0].mean_iou
    assert attack(random_estimator(), scene, max_iter=1, checkpoints=[1])[0].mean_iou == [{1: found[1]}]


def test_a_run_that_ends_early_keeps_its_last_patch():
    x, y, metadata = screen_scene()
    metadata[0]["masks"] = np.zeros_like(metadata[0]["masks"])
    (found,) = attack(tiny_estimator(), (x, y, metadata), max_iter=3, checkpoints=[0, 3])[0].mean_iou
    assert found[0] == found[3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_iou_is_that_of_all_frames_but_the_first(dtype):
    class Recording(ColourTracker):
        dtypes = []

        def predict(self, x, **kwargs):
            self.dtypes.append(x.dtype)
            found = super().predict(x.astype(np.float32), **kwargs)
            found[0]["boxes"][0] += 1  # in frame 0, which does not count
            return found

    x, y, (metadata,) = screen_scene()
    scene = read_scene(x[0], y[0]["boxes"], metadata, torch.device("cpu"), 0)
    patches = {3: BestIterate(0.0, torch.zeros(4, 5, 3)), 1: BestIterate(9.0, torch.rand(4, 5, 3))}
    found = record_mean_iou(Recording(), scene, patches, np.dtype(dtype))
    assert list(found) == [3, 1] and Recording.dtypes == [dtype] * 2
    for steps, patch in patches.items():
        colours = scene.render(patch.image).mean(axis=(1, 2), dtype=np.float64)
        boxes = y[0]["boxes"][0] + (colours @ ColourTracker.weights.numpy())[:, None]
        assert found[steps] == pytest.approx(overlaps(boxes, y[0]["boxes"])[1:].mean(), abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_tracker_whose_boxes_are_none_is_named(value):
    class Lost(ColourTracker):
        def boxes(self, video, box_xyxy):
            return torch.cat([box_xyxy.repeat(len(video) - 1, 1), torch.tensor([[value, 0, 1, 1]])])

    x, y, (metadata,) = screen_scene()
    scene = read_scene(x[0], y[0]["boxes"], metadata, torch.device("cpu"), 0)
    with pytest.raises(InvalidValueError) as caught:
        record_mean_iou(Lost(), scene, {7: BestIterate(0.0, torch.zeros(4, 5, 3))}, x.dtype)
    assert (caught.value.key, caught.value.expected) == ("estimator", "finite boxes") and "7 steps" in caught.value.got


def test_checkpoints_within_reach_are_no_reason_to_warn(caplog):
    check_checkpoints([1, 5], 5, "constant")
    check_checkpoints([], 5, "cosine")
    assert not caplog.records


def test_every_video_has_its_curve():
    scenes = [screen_scene(frames=frames, seed=frames) for frames in (3, 4)]
    x, y, metadata = ([scene[part][0] for scene in scenes] for part in range(3))
    made = PatchAttack(tiny_estimator(), max_iter=1, universal=True, checkpoints=[1], verbose=False)
    made.generate(x=x, y=y, y_patch_metadata=metadata)
    one, other = made.mean_iou
    assert one.keys() == other.keys() == {1} and one != other


def test_the_iterate_that_is_kept_after_each_step():
    def objective(image, with_grad):
        value = {0: 1.0, 1: 3.0, 2: 2.0}[round(float(image[0]) * 10)]
        return ValueAndGrad(value, image * 0 + 1 if with_grad else None)

    for keep, values in {"best": [1.0, 3.0, 3.0], "last": [1.0, 3.0, 2.0]}.items():
        ascent = GradientAscent(0.1, 2, keep=keep)
        assert [best.value for best in ascent.iterate(objective, torch.zeros(1))] == values


@pytest.mark.parametrize(
    ("kwargs", "expected", "got"),
    [
        ({"schedule": "cosine"}, "none with schedule 'cosine', whose step sizes depend on max_iter", "[1]"),
        ({"checkpoints": [1, 1]}, "different numbers of steps", "[1, 1]"),
        ({"checkpoints": 3}, "a list of values, each a whole number in [0, 1000000]", "3"),
        ({"checkpoints": [[1]]}, "a list of values, each a whole number in [0, 1000000]", "[[1]]"),
        ({"checkpoints": [-1]}, "a list of values, each a whole number in [0, 1000000]", "[-1]"),
    ],
)
def test_checkpoints_that_mean_nothing_are_refused(kwargs, expected, got):
    with pytest.raises(InvalidValueError) as caught:
        PatchAttack(IdentityTracker(), **{"checkpoints": [1], **kwargs})
    assert (caught.value.key, caught.value.expected, caught.value.got) == ("checkpoints", expected, got)


def test_checkpoints_out_of_reach_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        made, _ = attack(tiny_estimator(), max_iter=1, checkpoints=[1, 20, 10])
    assert "checkpoints [10, 20] are beyond the last step, 1" in caplog.text
    assert list(made.mean_iou[0]) == [1]


def test_armorys_results_get_one_curve_per_video():
    from armory.instrument import ResultsWriter, del_globals, get_hub

    del_globals()
    written = {}
    try:
        attack(tiny_estimator(), max_iter=1, checkpoints=[1])  # nobody writes results here
        get_hub().connect_writer(ResultsWriter(sink=written.update), default=True)
        attacks = [
            attack(tiny_estimator(), max_iter=1, checkpoints=checkpoints)[0] for checkpoints in ([0, 1], [1], [])
        ]
        get_hub().close()
    finally:
        del_globals()
    curves = [curve for made in attacks for curve in made.mean_iou]
    assert len(curves) == 2
    assert written == {"adversarial_checkpoints": curves, "reach": [made.reach[0] for made in attacks]}
