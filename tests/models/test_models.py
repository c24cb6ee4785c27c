import dataclasses

import numpy as np
import pytest
import torch
from art.defences.preprocessor import JpegCompression, SpatialSmoothing, SpatialSmoothingPyTorch
from doubles import random_estimator, screen_scene

from armory_skelevision.boxes import iou
from armory_skelevision.models import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import Crops, TrackerSettings, VideoFrames, track
from armory_skelevision.validation import InvalidTypeError, InvalidValueError
from armory_skelevision.weights.checkpoints import write_checkpoint
from armory_skelevision.weights.loading import save_weights
from armory_skelevision.weights.metadata import Metadata

HEADS = "'shallow' or 'deep' or 'regression'"


@pytest.fixture(scope="module")
def estimator():
    return random_estimator()


def predict(estimator, x, y):
    return estimator.predict(x, y_init=y[0]["boxes"][:1])


def test_prediction_has_one_finite_box_per_frame(estimator):
    x, y, _ = screen_scene()
    x.flags.writeable = False
    (prediction,) = predict(estimator, x, y)
    assert prediction["boxes"].shape == (5, 4) and prediction["boxes"].dtype == np.float32
    assert (prediction["boxes"][:, 2:] > prediction["boxes"][:, :2]).all()
    assert prediction["scores"].shape == (5,) and prediction["scores"].dtype == np.float32
    assert ((prediction["scores"] >= 0) & (prediction["scores"] <= 1)).all()
    assert set(prediction) == {"boxes", "scores"}


def test_arrays_keep_no_graph_and_tensors_do(estimator):
    x, y, _ = screen_scene()
    assert isinstance(predict(estimator, x, y)[0]["boxes"], np.ndarray)
    video = torch.from_numpy(x).requires_grad_()
    boxes = predict(estimator, video, y)[0]["boxes"]
    boxes.sum().backward()
    assert video.grad.abs().sum() > 0
    np.testing.assert_allclose(boxes.detach().numpy(), predict(estimator, x, y)[0]["boxes"], atol=1e-3)


def test_videos_of_different_length_come_as_objects(estimator):
    videos = np.empty(2, dtype=object)
    (videos[0],), y, _ = screen_scene(frames=3)
    (videos[1],), _, _ = screen_scene(frames=4)
    results = estimator.predict(videos, y_init=np.repeat(y[0]["boxes"][:1], 2, axis=0))
    assert [len(result["boxes"]) for result in results] == [3, 4]


def test_integer_boxes_are_taken_as_armory_gives_them(estimator):
    x, y, _ = screen_scene()
    as_integers = estimator.predict(x, y_init=y[0]["boxes"][:1].astype(np.int64))
    np.testing.assert_array_equal(as_integers[0]["boxes"], predict(estimator, x, y)[0]["boxes"])


def test_colours_are_turned_exactly_once(estimator):
    """The network must see BGR: feeding it RGB, or turning twice, gives other boxes than the plain BGR pipeline."""
    x, y, _ = screen_scene()
    seen = []
    hook = estimator.model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    red = np.zeros_like(x)
    red[..., 0] = 1
    predict(estimator, red, y)
    hook.remove()
    assert all(crop[:, 2].min() > 254.9 and crop[:, :2].abs().max() < 1e-3 for crop in seen) and len(seen) == 6
    boxes, turned = (predict(estimator, video, y)[0]["boxes"] for video in (x, np.ascontiguousarray(x[..., ::-1])))
    assert np.abs(boxes - turned).max() > 0.1


def test_loss_gradient_agrees_with_finite_differences():
    x, y, _ = screen_scene(frames=2, height=48, width=64)
    y[0]["boxes"] = np.array([[20, 10, 40, 40], [21, 11, 41, 41]], dtype=np.float32)
    x = x.astype(np.float64)
    estimator = random_estimator(dtype=torch.float64)
    video = torch.from_numpy(x[0]).requires_grad_()
    truth = torch.from_numpy(y[0]["boxes"]).double()

    def loss(video):
        return (estimator.track(VideoFrames(video), truth[0]) - truth).abs().sum()

    gradient = torch.autograd.grad(loss(video), video)[0]
    direction = (
        torch.randn(video.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * gradient.abs()
    )
    step = 1e-3 / direction.abs().max()
    with torch.no_grad():
        difference = (loss(video + step * direction) - loss(video - step * direction)) / (2 * step)
    assert difference.item() == pytest.approx((gradient * direction).sum().item(), rel=0.02)


def test_loss_gradient_and_loss_have_arts_shapes(estimator):
    x, y, _ = screen_scene()
    gradient = estimator.loss_gradient(x, y)
    assert gradient.shape == x.shape and gradient.dtype == np.float32 and np.abs(gradient).max() > 0
    (loss,) = estimator.compute_loss(x, y)
    assert loss == pytest.approx(np.abs(predict(estimator, x, y)[0]["boxes"] - y[0]["boxes"]).sum(), rel=1e-5)


def test_activations_of_every_layer(estimator):
    crops = np.random.default_rng(0).random((3, 127, 127, 3), dtype=np.float32)
    shapes = [estimator.get_activations(crops, layer, batch_size=2).shape for layer in range(5)]
    assert shapes == [(3, 96, 29, 29), (3, 256, 12, 12), (3, 384, 10, 10), (3, 384, 8, 8), (3, 256, 6, 6)]
    by_name = estimator.get_activations(crops, "layer5", batch_size=3)
    np.testing.assert_allclose(by_name, estimator.get_activations(crops, 4, batch_size=1), atol=1e-4)
    with pytest.raises(InvalidValueError) as caught:
        estimator.get_activations(crops, "layer6")
    assert (caught.value.key, caught.value.got) == ("layer", "'layer6'")


def test_parameters_round_trip(estimator):
    x, y, _ = screen_scene()
    other = random_estimator()
    other.set_params(**estimator.get_params())
    assert other.settings == estimator.settings and other.input_shape == (None, None, None, 3)
    np.testing.assert_array_equal(predict(other, x, y)[0]["boxes"], predict(estimator, x, y)[0]["boxes"])


PREPROCESSORS = {
    "numpy": lambda: [JpegCompression(clip_values=(0, 1), quality=30, channels_first=False)],
    "torch": lambda: [SpatialSmoothingPyTorch(window_size=3, channels_first=False)],
    "mixed": lambda: [SpatialSmoothing(window_size=3), SpatialSmoothingPyTorch(window_size=3, channels_first=False)],
}


@pytest.mark.parametrize("make", PREPROCESSORS.values(), ids=PREPROCESSORS.keys())
def test_full_frame_preprocessors_work_on_arrays_and_tensors(make):
    x, y, _ = screen_scene()
    defended = random_estimator()
    defended.set_params(preprocessing_defences=make())
    assert defended.frame_operations
    boxes = predict(defended, x, y)[0]["boxes"]
    assert np.abs(boxes - predict(random_estimator(), x, y)[0]["boxes"]).max() > 1e-3
    video = torch.from_numpy(x).requires_grad_()
    tensor_boxes = predict(defended, video, y)[0]["boxes"]
    np.testing.assert_allclose(tensor_boxes.detach().numpy(), boxes, atol=1e-3)
    tensor_boxes.sum().backward()
    assert video.grad.abs().sum() > 0


def test_a_preprocessor_that_is_switched_off_changes_nothing(estimator):
    x, y, _ = screen_scene()
    defended = random_estimator(preprocessing_defences=[SpatialSmoothing(window_size=3, apply_predict=False)])
    np.testing.assert_array_equal(predict(defended, x, y)[0]["boxes"], predict(estimator, x, y)[0]["boxes"])


def test_multi_task_tracker_names_keypoints_in_the_frame(tmp_path):
    network = SiamRPN(keypoint_head="shallow")
    save_weights(network, tmp_path / "mtl.safetensors", metadata("shallow"))
    estimator = siamrpn_mtl({}, {"device_type": "cpu"}, tmp_path / "mtl.safetensors")
    # A head that answers with one position for every keypoint: the middle of the template must be the box's middle.
    middle = torch.zeros(1, 17, 127, 127)
    middle[:, :, 63, 63] = 50
    estimator.model.keypoint_head.forward = lambda features: middle
    x, y, _ = screen_scene()
    keypoints = predict(estimator, x, y)[0]["keypoints"]
    assert keypoints.shape == (17, 3)
    x1, y1, x2, y2 = y[0]["boxes"][0]
    np.testing.assert_allclose(keypoints[:, :2], [[(x1 + x2) / 2, (y1 + y2) / 2]] * 17, atol=1)
    np.testing.assert_allclose(keypoints[:, 2], 1, atol=1e-3)


def test_a_head_by_regression_names_keypoints_in_the_frame():
    network = SiamRPN(keypoint_head="regression")
    # The template is twice as wide and high as its box of a square person, so the crop's quarters are the box's sides.
    corners = torch.full((1, 17, 2), 127 / 4)
    corners[:, 8:] = 3 * 127 / 4
    network.keypoint_head.forward = lambda features: corners
    estimator = SiamRPNEstimator(network, TrackerSettings(instance_size=191), device_type="cpu")
    x, y, _ = screen_scene()
    box = np.array([30.0, 20, 70, 60])
    y[0]["boxes"][0] = box
    keypoints = predict(estimator, x, y)[0]["keypoints"]
    np.testing.assert_allclose(keypoints[:8, :2], [box[:2]] * 8, atol=1.5)
    np.testing.assert_allclose(keypoints[8:, :2], [box[2:]] * 9, atol=1.5)
    assert (keypoints[:, 2] == 1).all()


def metadata(keypoint_head=None):
    return Metadata(
        architecture="siamrpn_alex",
        keypoint_head=keypoint_head,
        lambda_k=0.2 if keypoint_head else 0.0,
        training="random weights of a test",
        licence="MIT",
        seed=0,
    )


def test_constants_come_from_the_config_else_from_the_weights_else_from_pysot(tmp_path):
    path = tmp_path / "stl.safetensors"
    tuned = dataclasses.replace(metadata(), tracking={"penalty_k": 0.24, "window_influence": 0.5})
    save_weights(SiamRPN(), path, tuned)
    estimator = siamrpn_stl({}, {"device_type": "cpu", "tracking": {"window_influence": 0.1}}, path)
    assert estimator.settings == TrackerSettings(penalty_k=0.24, window_influence=0.1, learning_rate=0.3)


def test_wrappers_load_weights_and_settings(tmp_path):
    torch.manual_seed(0)
    network = SiamRPN()
    save_weights(network, tmp_path / "stl.safetensors", metadata())
    estimator = siamrpn_stl(
        {}, {"device_type": "cpu", "tracking": {"penalty_k": 0.1}}, str(tmp_path / "stl.safetensors")
    )
    assert estimator.settings == TrackerSettings(penalty_k=0.1)
    x, y, _ = screen_scene()
    network.eval()
    frames = VideoFrames(torch.from_numpy(x[0]))
    with torch.no_grad():
        steps = track(Crops(network, frames, torch.from_numpy(y[0]["boxes"][0]), estimator.settings))
        expected = torch.stack([step.box_xyxy for step in steps])
    assert iou(torch.from_numpy(predict(estimator, x, y)[0]["boxes"]), expected).min() > 0.9  # float16 weights


def test_wrapper_refuses_the_other_architecture(tmp_path):
    save_weights(SiamRPN(), tmp_path / "stl.safetensors", metadata())
    with pytest.raises(ValueError, match="siamrpn_stl"):
        siamrpn_mtl({}, {"device_type": "cpu"}, tmp_path / "stl.safetensors")


@pytest.mark.parametrize(
    ("model", "model_kwargs", "wrapper_kwargs", "key", "expected"),
    [
        (siamrpn_stl, {"depth": 2}, {}, "model_kwargs.depth", "a known key"),
        (siamrpn_mtl, {"depth": 2}, {}, "model_kwargs.depth", "a known key"),
        (siamrpn_mtl, {"keypoint_head": "flat"}, {}, "model_kwargs.keypoint_head", HEADS),
        (siamrpn_stl, {}, {"device": "cpu"}, "wrapper_kwargs.device", "a known key"),
        (siamrpn_stl, {}, {"device_type": "tpu"}, "wrapper_kwargs.device_type", "'gpu' or 'cpu'"),
        (siamrpn_stl, {}, {"tracking": {"k": 1}}, "wrapper_kwargs.tracking.k", "a known key"),
        (
            siamrpn_stl,
            {},
            {"tracking": {"penalty_k": -1}},
            "wrapper_kwargs.tracking.penalty_k",
            "a number in [0, 100]",
        ),
    ],
)
def test_wrong_keys_and_values_are_named(model, model_kwargs, wrapper_kwargs, key, expected):
    with pytest.raises(InvalidValueError) as caught:
        model(model_kwargs, wrapper_kwargs, None)
    assert (caught.value.key, caught.value.expected) == (key, expected)


def test_wrong_constants_in_a_weights_file_are_named_with_the_file(tmp_path):
    path = tmp_path / "stl.safetensors"
    write_checkpoint(SiamRPN().state_dict(), {**metadata().to_header(), "tracking": '{"penalty": 0.24}'}, path)
    with pytest.raises(InvalidValueError) as caught:
        siamrpn_stl({}, {"device_type": "cpu"}, path)
    assert caught.value.key == f"{path}.tracking.penalty"


def bad_video(change):
    x, y, _ = screen_scene()
    return change(x), y[0]["boxes"][:1]


def with_value(x, value):
    x[0, 3, 5, 5, 1] = value
    return x


BAD_VIDEOS = {
    "NaN": (lambda x: with_value(x, np.nan), "values in [0, 1]", "NaN or infinity, first in frame 3", ""),
    "infinity": (lambda x: with_value(x, np.inf), "values in [0, 1]", "0 to inf", ""),
    "0 to 255": (lambda x: x.round() * 255, "values in [0, 1]", "0 to 255", "divide by 255"),
    "negative": (lambda x: with_value(x.round(), -0.5), "values in [0, 1]", "-0.5 to 1", ""),
    "one frame": (lambda x: x[:, :1], "at least 2 frames", "1", "the template is taken from the first frame"),
    "16x16": (lambda x: x[:, :, :16, :16], "frames of at least 32x32 pixels", "16x16 pixels", ""),
    "gray": (
        *(lambda x: x[..., :1], "a video (F, H, W, 3), RGB", "shape (5, 120, 160, 1)"),
        "repeat gray frames to three channels",
    ),
    "gray without channels": (
        *(lambda x: x[..., 0], "a video (F, H, W, 3), RGB", "shape (5, 120, 160)"),
        "repeat gray frames to three channels",
    ),
}


@pytest.mark.parametrize(("change", "expected", "got", "fix"), BAD_VIDEOS.values(), ids=BAD_VIDEOS.keys())
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_bad_videos_are_refused(estimator, kind, change, expected, got, fix):
    x, y_init = bad_video(change)
    x = torch.from_numpy(x) if kind == "tensor" else x
    with pytest.raises(InvalidValueError) as caught:
        estimator.predict(x, y_init=y_init)
    assert caught.value.args == ("x[0]", expected, got, fix)


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_videos_of_whole_numbers_are_refused(estimator, kind):
    x, y_init = bad_video(lambda x: (x * 255).astype(np.uint8))
    x = torch.from_numpy(x) if kind == "tensor" else x
    with pytest.raises(InvalidTypeError) as caught:
        estimator.predict(x, y_init=y_init)
    assert caught.value.key == "x[0]" and "uint8" in caught.value.got and caught.value.fix == "divide by 255"


BAD_BOXES = {
    "outside": ([200, 10, 220, 40], "a box that overlaps the 160x120 frame"),
    "zero size": ([50, 50, 50, 50], "x1 < x2 and y1 < y2, at least a pixel apart"),
    "NaN": ([10, np.nan, 30, 40], "finite coordinates"),
    "reversed": ([40, 50, 20, 30], "x1 < x2 and y1 < y2, at least a pixel apart"),
    "three numbers": ([40, 50, 20], "one box (x1, y1, x2, y2)"),
}


@pytest.mark.parametrize(("box", "expected"), BAD_BOXES.values(), ids=BAD_BOXES.keys())
def test_bad_boxes_are_refused(estimator, box, expected):
    x, _, _ = screen_scene()
    with pytest.raises(InvalidValueError) as caught:
        estimator.predict(x, y_init=np.array([box], dtype=np.float32))
    assert (caught.value.key, caught.value.expected) == ("y_init[0]", expected)


def test_bad_calls_are_refused(estimator):
    x, y, _ = screen_scene()
    for call, error, key, got in [
        (lambda: estimator.predict(x), InvalidValueError, "y_init", "none"),
        (lambda: estimator.predict(x, y_init=y[0]["boxes"][:2]), InvalidValueError, "y_init", "2"),
        (lambda: estimator.predict(x, y_init=y[0]["boxes"][:1], y=1), InvalidTypeError, "y", "an unknown one"),
        (lambda: estimator.loss_gradient(x, [{"boxes": np.ones((3, 4))}]), InvalidValueError, "y[0]", "shape (3, 4)"),
        (lambda: random_estimator(clip_values=(0, 255)), InvalidValueError, "clip_values", "(0.0, 255.0)"),
        (lambda: SiamRPNEstimator(SiamRPN(), device_type="tpu"), InvalidValueError, "device_type", "'tpu'"),
    ]:
        with pytest.raises(error) as caught:
            call()
        assert (caught.value.key, caught.value.got) == (key, got)
