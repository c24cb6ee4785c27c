"""Anybody's tracker: what it is called with, what it may answer, and what is said where something is wrong."""

import numpy as np
import own_trackers
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing, SpatialSmoothing
from doubles import overlaps
from own_trackers import RedTracker, TensorTracker, red_video

from armory_skelevision.attacks import FGSM, PGD, RTAA, AutoPatch, BackdoorTrigger, KeypointFGSM, PatchAttack
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.evaluation.check.stand_in import StandingTracker
from armory_skelevision.models import ExternalEstimator, external, load_tracker
from armory_skelevision.models.adapter import TrackerAdapter, TrackerFailedError, read_answer
from armory_skelevision.models.external_estimator import ExternalTensorEstimator
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, MissingFileError

X, BOXES = red_video()


def load(kind, color=None, **kwargs):
    return load_tracker("own_trackers:make", color=color, device="cpu", kwargs={"kind": kind, **kwargs})


def predict(tracker, x=X):
    return tracker.predict(x, y_init=BOXES[:1])[0]


@pytest.mark.parametrize(
    ("kind", "color"),
    [
        *(("RedTracker", None), ("ScoredTracker", "RGB"), ("PySOTLike", "BGR"), ("PytrackingLike", "RGB")),
        *(("GOT10kLike", None), ("Uncopied", None)),
    ],
)
def test_trackers_of_all_toolkits_find_the_target(kind, color):
    np.testing.assert_allclose(predict(load(kind, color))["boxes"], BOXES, atol=1e-5)


def test_the_wrong_colours_lose_the_target():
    boxes = predict(load("PySOTLike", "RGB"))["boxes"]
    assert overlaps(boxes, BOXES)[1:].max() < 0.7


def test_an_image_is_what_the_file_had():
    tracker = load("RedTracker")
    predict(tracker)
    seen = np.stack(tracker.model.seen)
    np.testing.assert_array_equal(seen, np.rint(X[0] * 255))
    assert [len(seen), *seen.shape[1:]] == [4, 60, 80, 3]


def test_the_first_box_is_given_and_every_further_frame_is_asked_for():
    boxes = BOXES[:1] + np.array([0.5, 0.25, 2, -1], np.float32)
    tracker = load("RedTracker")
    found = tracker.predict(X, y_init=boxes)[0]["boxes"]
    np.testing.assert_array_equal(found[0], boxes[0])
    np.testing.assert_allclose(found[1:], BOXES[1:], atol=1e-5)


def test_scores_come_with_every_frame_or_not_at_all():
    np.testing.assert_allclose(predict(load("ScoredTracker"))["scores"], [0.52, 0.52, 0.53, 0.54], atol=1e-6)
    np.testing.assert_array_equal(predict(load("PySOTLike", "BGR"))["scores"], np.full(4, 0.75, np.float32))
    assert "scores" not in predict(load("RedTracker"))


def test_where_the_target_is_not_located_the_last_box_stays():
    tracker = load("OpenCVLike")
    assert tracker.adapter.color == "BGR"
    np.testing.assert_allclose(predict(tracker)["boxes"], BOXES[[0, 1, 1, 3]], atol=1e-5)


def test_each_video_starts_anew():
    tracker = load("RedTracker")
    alone = predict(tracker)["boxes"]
    other = X[:, :, ::-1].copy()
    found = tracker.predict([X[0], other[0], X[0]], y_init=np.stack([BOXES[0], [20, 23, 32, 35], BOXES[0]]))
    for video in (found[0], found[2]):
        np.testing.assert_array_equal(video["boxes"], alone)


def test_tensors_give_tensors_without_a_graph():
    tracker, video = load("ScoredTracker"), torch.from_numpy(X).requires_grad_()
    found = predict(tracker, video)
    assert all(isinstance(values, torch.Tensor) and not values.requires_grad for values in found.values())
    np.testing.assert_array_equal(found["boxes"].numpy(), predict(tracker)["boxes"])


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_trackers_are_called_without_gradients_in_any_mode(mode):
    class Watching(StandingTracker):
        def track(self, image):
            assert not torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            return self.box_xywh

    with mode():
        predict(ExternalEstimator(TrackerAdapter(Watching(), "watching")))


BOX = [1.0, 2.0, 3.0, 4.0]
LAST = np.array([9.0, 9, 9, 9])


@pytest.mark.parametrize(
    ("answer", "box", "score"),
    [
        *((BOX, BOX, None), (tuple(BOX), BOX, None), (np.array(BOX), BOX, None), (torch.tensor(BOX), BOX, None)),
        *(((BOX, 0.5), BOX, 0.5), ([BOX, torch.tensor([0.5])], BOX, 0.5), ((BOX, None), BOX, None)),
        *(((True, BOX), BOX, None), ((False, BOX), LAST, None), ((np.bool_(True), BOX), BOX, None)),
        *(({"bbox": BOX, "best_score": 2}, BOX, 2.0), ({"target_bbox": BOX}, BOX, None)),
        ({"target_bbox": BOX, "object_presence_score": 0.25, "time": 3}, BOX, 0.25),
        ([0, 0, 0, 0], [0, 0, 0, 0], None),
    ],
)
def test_answers(answer, box, score):
    found = read_answer(answer, "mine", LAST)
    np.testing.assert_array_equal(found.box_xywh, box)
    assert found.score == score


@pytest.mark.parametrize(
    "answer",
    [
        *(None, "box", 3, [], [1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4]], [1, 2, 3, None], ["1", "2", "3", "4"]),
        *([1, 2, 3, np.nan], [1, np.inf, 3, 4], [1, 2, -3, 4], [1, 2, 3, -0.1], [1, 2, 1e9, 4], np.zeros((4, 4))),
        *((BOX, np.nan), (BOX, "sure"), (BOX, [1, 2]), (True, None), {}, {"box": BOX}, {"bbox": None}, (BOX, BOX)),
    ],
)
def test_answers_that_are_no_boxes_are_refused(answer):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        read_answer(answer, "mine, frame 3", LAST)
    assert caught.value.key == "mine, frame 3"


def failing(method, error):
    class Failing(StandingTracker):
        pass

    def fail(self, *arguments):
        raise error

    setattr(Failing, method, fail)
    return ExternalEstimator(TrackerAdapter(Failing(), "mine:make"))


@pytest.mark.parametrize(("method", "frame"), [("initialize", 0), ("track", 1)])
def test_an_exception_in_the_tracker_is_named_with_its_frame_and_cause(method, frame):
    error = ZeroDivisionError("no pixels")
    with pytest.raises(TrackerFailedError) as caught:
        predict(failing(method, error))
    assert caught.value.key == "mine:make" and caught.value.__cause__ is error
    assert f"{method} for frame {frame}" in caught.value.expected
    assert "no pixels" in caught.value.got and "test_external.py" in caught.value.got


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_stopping_is_no_mistake_of_the_tracker(error):
    with pytest.raises(error):
        predict(failing("track", error))


def test_a_wrong_box_is_named_with_its_frame():
    class Corners(RedTracker):
        def track(self, image):
            box = self.find(image)
            return [box[0], box[1], -5, 5] if len(self.seen) == 4 else box

    with pytest.raises(InvalidValueError) as caught:
        predict(ExternalEstimator(TrackerAdapter(Corners(), "mine")))
    assert caught.value.key == "mine, frame 3" and "x2" in caught.value.fix


@pytest.mark.parametrize(
    ("factory", "kwargs", "key"),
    [
        *(("own_trackers", {}, "name"), ("no_module:make", {}, "factory"), ("own_trackers:nothing", {}, "factory")),
        *((":make", {}, "factory"), ("own_trackers:", {}, "factory"), ("..:make", {}, "factory")),
        *(("own_trackers:NOT_CALLABLE", {}, "factory"), ("own_trackers:make", {"a": 1, "kind": "make"}, "factory")),
        *(("builtins:dict", {}, "factory"), ("own_trackers:red_video", {"speed": 1}, "kwargs")),
        ("own_trackers:RedTracker", {"red_channel": 0, "blue_channel": 2}, "kwargs"),
    ],
)
def test_factories_that_make_no_tracker_are_refused(factory, kwargs, key):
    with pytest.raises((InvalidValueError, InvalidTypeError, TrackerFailedError)) as caught:
        load_tracker(factory, kwargs=kwargs or None)
    if isinstance(caught.value, TrackerFailedError):
        assert caught.value.__cause__ is not None and caught.value.key == factory
    else:
        assert caught.value.key.removeprefix("model_kwargs.") == key


def test_a_class_made_by_the_factory_is_no_tracker(monkeypatch):
    monkeypatch.setattr(own_trackers, "make", lambda: RedTracker)
    with pytest.raises(InvalidTypeError) as caught:
        load_tracker("own_trackers:make")
    assert caught.value.key == "model_kwargs.factory" and "RedTracker" in caught.value.got


def test_a_module_that_fails_on_import_is_named_with_its_cause(tmp_path, monkeypatch):
    (tmp_path / "broken_tracker.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TrackerFailedError) as caught:
        load_tracker("broken_tracker:make")
    assert caught.value.key == "broken_tracker" and isinstance(caught.value.__cause__, ZeroDivisionError)


def test_settings_that_mean_nothing_are_refused():
    for arguments, key in [
        ({"name": "siamrpn_stl", "color": "RGB"}, "color, kwargs"),
        ({"name": "own_trackers:make", "color": "rgb"}, "model_kwargs.color"),
        ({"name": "own_trackers:OpenCVLike", "color": "RGB"}, "model_kwargs.color"),
        ({"name": "own_trackers:make", "tracking": {"context": 0.4}}, "wrapper_kwargs.tracking"),
    ]:
        with pytest.raises(InvalidValueError) as caught:
            load_tracker(**arguments)
        assert caught.value.key == key
    with pytest.raises(InvalidValueError) as caught:
        external({"factory": "own_trackers:make", "colour": "RGB"}, {})
    assert caught.value.key == "model_kwargs.colour"


def test_weights_are_passed_to_the_factory(tmp_path, monkeypatch):
    monkeypatch.setattr(own_trackers, "make", lambda weights: given.append(weights) or RedTracker())
    given = []
    (tmp_path / "mine.pth").write_bytes(b"")
    load_tracker("own_trackers:make", tmp_path / "mine.pth")
    external({"factory": "own_trackers:make"}, {}, tmp_path / "mine.pth")
    assert given == [str(tmp_path / "mine.pth")] * 2
    with pytest.raises(MissingFileError):
        load_tracker("own_trackers:make", tmp_path / "absent.pth")


def test_preprocessors_of_whole_frames_act_and_others_are_refused():
    tracker = load("RedTracker")
    tracker.set_params(preprocessing_defences=[SpatialSmoothing(window_size=3), FeatureSqueezing((0, 1), bit_depth=1)])
    predict(tracker)
    assert {*np.unique(np.stack(tracker.model.seen))} <= {0, 255}
    tracker.set_params(preprocessing_defences=None)
    np.testing.assert_allclose(predict(tracker)["boxes"], BOXES, atol=1e-5)
    with pytest.raises(InvalidTypeError) as caught:
        tracker.set_params(preprocessing_defences=[TemplateAdaptation()])
    assert caught.value.got == "TemplateAdaptation"
    with pytest.raises(InvalidValueError):
        tracker.set_params(model=None)


@pytest.mark.parametrize("kind", [PGD, FGSM, PatchAttack, AutoPatch, RTAA])
def test_attacks_that_need_more_than_boxes_say_so(kind):
    with pytest.raises(InvalidTypeError) as caught:
        kind(load("RedTracker"))
    assert caught.value.key == "estimator" and "own_trackers:make" in caught.value.got
    assert kind.__name__ in caught.value.expected
    assert ("track_tensor" in caught.value.fix) == (kind is not RTAA)


def test_attacks_on_keypoints_say_what_is_missing():
    with pytest.raises(InvalidValueError) as caught:
        KeypointFGSM(load("RedTracker"))
    assert caught.value.key == "estimator" and "keypoint" in caught.value.expected


def test_a_trigger_is_shown():
    shown = BackdoorTrigger(load("RedTracker"), show="few_shot").generate(x=X, y=[{"boxes": BOXES}])
    assert (shown != X).any()


def truth():
    return [{"boxes": BOXES + np.array([1, 0, 1, 0], np.float32)}]


@pytest.mark.parametrize(
    ("module", "color", "expected"),
    [("pysot.tracker.siamrpn_tracker", None, "BGR"), ("pysot.tracker", "RGB", "RGB"), ("pysotlike", None, "RGB")],
)
def test_pysots_own_objects_get_what_cv2_reads(module, color, expected):
    tracker = type("SiamRPNTracker", (), {"__module__": module, "init": lambda *_: None, "track": lambda *_: [0] * 4})
    assert TrackerAdapter(tracker(), "its name", color).color == expected


@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_track_tensor_gives_the_gradient(color):
    tracker = load("TensorTracker", color)
    assert isinstance(tracker, ExternalTensorEstimator)
    x = X[:, :2]
    gradient = tracker.loss_gradient(x, [{"boxes": BOXES[:2] + 5}])
    given = tracker.model.given
    assert given.shape == (2, 3, 60, 80) and given.dtype == torch.float32 and given.max() > 1
    channel = 0 if color == "RGB" else 2
    # both x1 and x2 move with the mean of the first channel, and lie to the left of the true ones
    expected = np.zeros_like(x)
    expected[0, 1, ..., channel] = -2 / (60 * 80)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)


def test_track_tensor_serves_attacks_and_leaves_evaluations_alone():
    tracker = load("TensorTracker")
    before = predict(tracker)["boxes"]
    as_tensor = tracker.predict(torch.from_numpy(X), y_init=BOXES[:1])[0]["boxes"]
    np.testing.assert_allclose(as_tensor.numpy(), before, atol=1e-2)
    attack = PGD(tracker, eps=0.2, eps_step=0.1, max_iter=2, verbose=False)
    x_adv = attack.generate(x=X, y=truth())
    red = x_adv[0, 1:, ..., 0] - X[0, 1:, ..., 0]
    assert np.abs(red).max() > 0.1 and np.abs(x_adv - X)[0, 1:, ..., 1:].max() < 1e-6
    assert np.abs(predict(tracker, x_adv)["boxes"] - before).max() > 0.05


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *((lambda boxes: boxes.detach(), InvalidValueError), (lambda boxes: boxes[:2], InvalidValueError)),
        *((lambda boxes: boxes.detach().numpy(), InvalidTypeError), (lambda boxes: -boxes, InvalidValueError)),
        *((lambda boxes: boxes / 0, InvalidValueError), (lambda boxes: boxes.nothing, TrackerFailedError)),
    ],
)
def test_track_tensor_has_to_be_differentiable(answer, kind):
    class Wrong(TensorTracker):
        def track_tensor(self, frames, box_xywh):
            return answer(super().track_tensor(frames, box_xywh))

    tracker = ExternalTensorEstimator(TrackerAdapter(Wrong(), "mine"), device_type="cpu")
    with pytest.raises(kind) as caught:
        tracker.loss_gradient(X, truth())
    assert caught.value.key.startswith("mine")
