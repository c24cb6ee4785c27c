"""What attacks inherit: settings, checked calls, and how videos, results and progress leave them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from art.exceptions import EstimatorError
from doubles import IdentityTracker

from armory_skelevision.attacks import interface
from armory_skelevision.attacks.interface import (
    VideoAttack,
    check_call,
    check_metadata,
    check_targets,
    dtype_of,
    record_result,
    stack_videos,
)
from armory_skelevision.validation import Fraction, InvalidTypeError, InvalidValueError, Iterations

BOX = [4.0, 3, 20, 18]


def video_of(frames=2, height=34, width=50, value=0.5, dtype=np.float32):
    return np.full((frames, height, width, 3), value, dtype)


class Brighten(VideoAttack):
    """Adds ``amount`` to each video, and 0.001 times the left edge of its last box."""

    def __init__(self, estimator, amount: Fraction = 0.1, max_iter: Iterations = 3, verbose: bool = False):
        super().__init__(estimator, amount=amount, max_iter=max_iter, verbose=verbose)

    def _check_params(self):
        super()._check_params()
        self.doubled = 2 * self.amount

    def _attack_video(self, video, target):
        assert torch.is_grad_enabled()
        return np.asarray(video + self.amount + 0.001 * target[-1, 0], np.float32)


def test_settings_are_the_constructors_parameters() -> None:
    attack = Brighten(IdentityTracker(), amount=0.2)
    assert Brighten.attack_params == ["amount", "max_iter", "verbose"] and VideoAttack.attack_params == []
    assert (attack.amount, attack.max_iter, attack.verbose, attack.doubled) == (0.2, 3, False, 0.4)
    attack.set_params(amount=0.3, max_iter=1)
    assert (attack.amount, attack.max_iter, attack.doubled) == (0.3, 1, 0.6)
    for changes, key in (({"amont": 1}, "amont"), ({"estimator": None}, "estimator"), ({"amount": 2}, "amount")):
        with pytest.raises(InvalidValueError) as refused:
            attack.set_params(**{"max_iter": 5, **changes})
        assert refused.value.key == key and (attack.amount, attack.max_iter) == (0.3, 1)
    with pytest.raises(InvalidValueError) as refused:
        Brighten(IdentityTracker(), amount=2)
    assert refused.value.key == "amount"


def test_only_trackers_with_a_gradient_are_attacked() -> None:
    class Black(ObjectTrackerMixin, BaseEstimator):
        """A tracker without gradients."""

        estimator_params = BaseEstimator.estimator_params
        input_shape = (None, None, None, 3)
        native_label_is_pytorch_format = True

        def __init__(self):
            super().__init__(model=None, clip_values=(0.0, 1.0))

        def predict(self, x, **kwargs):
            raise NotImplementedError

        fit = predict

    with pytest.raises(EstimatorError):
        Brighten(Black())


def test_an_attack_can_differentiate_where_its_caller_cannot() -> None:
    class Own(Brighten):
        def generate(self, x, y=None, **kwargs):
            assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            return super().generate(x, y, **kwargs)

    x, y = video_of()[None], [{"boxes": [BOX] * 2}]
    for without in (torch.no_grad(), torch.inference_mode()):
        with without:
            Own(IdentityTracker()).generate(x, y)
            Brighten(IdentityTracker()).generate(x, y)


def test_each_video_is_attacked_with_its_own_boxes() -> None:
    videos = [video_of(2), video_of(3, height=40)]
    labels = [{"boxes": [BOX, [5.0, 3, 20, 18]]}, {"boxes": [BOX, BOX, [9.0, 3, 20, 18]]}]
    for x in (videos, [torch.from_numpy(video) for video in videos]):
        attacked = Brighten(IdentityTracker()).generate(x, labels)
        assert attacked.dtype == object and [video.shape for video in attacked] == [(2, 34, 50, 3), (3, 40, 50, 3)]
        np.testing.assert_allclose(attacked[0], 0.605, rtol=1e-6)
        np.testing.assert_allclose(attacked[1], 0.609, rtol=1e-6)
    for arguments, error, key in [
        ({"x": [video_of(1)], "y": [{"boxes": [BOX]}]}, InvalidValueError, "x[0]"),
        ({"x": videos[:1], "y": labels[:1], "mask": 1}, InvalidTypeError, "mask"),
        ({"x": videos[:1], "y": labels}, InvalidValueError, "y"),
        ({"x": videos[:1]}, InvalidValueError, "y"),
    ]:
        with pytest.raises(error) as refused:
            Brighten(IdentityTracker()).generate(**arguments)
        assert refused.value.key == key


def test_a_kind_of_attack_says_what_it_needs_of_a_video() -> None:
    class OfMetadata(Brighten):
        min_frames = 1

        def _read_targets(self, videos, y, metadata):
            assert y is None
            return [np.array([[each["left"], 0, 0, 0]]) for each in metadata]

    attack, x = OfMetadata(IdentityTracker()), video_of(1, dtype=np.float16)[None]
    attacked = attack.generate(x, y_patch_metadata=[{"left": 200}])
    assert attacked.dtype == np.float16
    np.testing.assert_allclose(attacked, x + 0.3, rtol=1e-3)
    objects = np.empty(1, object)
    objects[0] = x[0]
    assert attack.generate(objects, y_patch_metadata=[{"left": 200}]).dtype == object
    with pytest.raises(InvalidTypeError) as unknown:
        attack.generate(x, mask=1)
    assert unknown.value.fix == "known are x, y, y_patch_metadata"


def test_a_call_is_checked_and_its_videos_are_arrays() -> None:
    given = [video_of(1), torch.from_numpy(video_of(2))]
    videos = check_call(given, {}, ["x"], min_frames=1)
    assert all(isinstance(video, np.ndarray) for video in videos) and videos[0] is given[0]
    np.testing.assert_array_equal(videos[1], video_of(2))
    assert len(check_call([video_of(2)], {}, ["x"])) == 1
    with pytest.raises(InvalidValueError) as refused:
        check_call(given, {}, ["x"])
    assert refused.value.key == "x[0]"
    with pytest.raises(InvalidTypeError) as unknown:
        check_call(given, {"z": 1}, ["x", "y"], 1)
    assert unknown.value.key == "z" and unknown.value.fix == "known are x, y"


def test_targets_begin_inside_their_own_frames() -> None:
    videos = [video_of(2), video_of(2, height=50, width=34)]
    right, below = [[38.0, 3, 46, 18]] * 2, [[3.0, 38, 18, 46]] * 2
    for found, boxes in zip(check_targets(videos, [{"boxes": right}, {"boxes": below}]), (right, below), strict=True):
        np.testing.assert_array_equal(found, boxes)
    for first, second, key in ((below, below, "y[0].boxes[0]"), (right, right, "y[1].boxes[0]")):
        with pytest.raises(InvalidValueError) as refused:
            check_targets(videos, [{"boxes": first}, {"boxes": second}])
        assert refused.value.key == key
    later = [right[0], [300.0, 300, 310, 310]]  # only the first must be in its frame
    check_targets(videos[:1], [{"boxes": later}])


def test_metadata_are_a_dict_for_each_video() -> None:
    videos = [video_of()] * 2
    given = [{"a": 1}, {"b": 2}]
    assert check_metadata(given, videos) == given and check_metadata({"a": 1}, videos[:1]) == [{"a": 1}]
    for metadata, error, key in [
        (None, InvalidValueError, "y_patch_metadata"),
        (given[:1], InvalidValueError, "y_patch_metadata"),
        ([{}, 3], InvalidTypeError, "y_patch_metadata[1]"),
    ]:
        with pytest.raises(error) as refused:
            check_metadata(metadata, videos)
        assert refused.value.key == key
    assert (refused.value.expected, refused.value.got) == ("a dict", "int")


def test_the_dtype_of_an_array_else_the_most_precise() -> None:
    half, single, double = (video_of(dtype=dtype) for dtype in (np.float16, np.float32, np.float64))
    assert dtype_of(np.stack([half, half]), [double]) == np.float16
    assert dtype_of([half, single], [half, single]) == np.float32
    assert dtype_of((double,), [double]) == np.float64


def test_videos_of_one_size_are_one_array() -> None:
    one, other, longer = video_of(value=0.1), video_of(value=0.2), video_of(3)
    stacked = stack_videos([one, other], np.dtype(np.float32))
    assert stacked.dtype == np.float32
    np.testing.assert_array_equal(stacked, [one, other])
    single = stack_videos([one], np.dtype(np.float32))
    assert single.shape == (1, *one.shape) and np.shares_memory(single, one)
    assert stack_videos([one], np.dtype(np.float64)).dtype == np.float64
    for videos, dtype in (([one, longer], np.float32), ([one, other], object), ([one], object)):
        objects = stack_videos(videos, np.dtype(dtype))
        assert objects.dtype == object and objects.shape == (len(videos),)
        assert all(found is video for found, video in zip(objects, videos, strict=True))


def test_results_go_to_an_armory_run_that_writes_some(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "armory.instrument", raising=False)
    record_result("name", 1)
    assert "armory.instrument" not in sys.modules  # it takes seconds to import
    recorded = []
    hub = SimpleNamespace(default_writers=[], record=lambda *given: recorded.append(given))
    monkeypatch.setitem(sys.modules, "armory.instrument", SimpleNamespace(get_hub=lambda: hub))
    record_result("name", 2)
    hub.default_writers.append("a writer")
    record_result("name", 3)
    assert recorded == [("name", 3)]


@pytest.mark.parametrize("verbose", [True, False])
def test_each_gradient_is_a_step_of_progress(verbose, monkeypatch) -> None:
    shown, steps = [], []

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            steps.append("end")

        def update(self):
            steps.append("step")

    def progress(items, title, **options):
        shown.append((items, title, options))
        return Bar()

    def generate(x, y):
        algorithm.estimator.on_step()
        return [x + y]

    monkeypatch.setattr(interface, "progress", progress)
    algorithm = SimpleNamespace(estimator=SimpleNamespace(), generate=generate)
    attack = Brighten(IdentityTracker(), max_iter=4, verbose=verbose)
    result = attack._run_steps(algorithm, "Brighten", np.float32(2), np.float32(3))
    assert isinstance(result, np.ndarray) and result.tolist() == [5]
    assert shown == [(range(4), "Brighten", {"unit": "step", "disable": not verbose})]
    assert steps == ["step", "end"]
