"""A third-party tracker with another backbone and an anchor-free head: what works for ours has to work for it too."""

import codecs

import cv2
import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from art.exceptions import EstimatorError
from doubles import overlaps, random_nanotrack, random_nanotrack_estimator, screen_scene
from memory_modes import check_same_gradient

from armory_skelevision.attacks import PGD, RTAA, IoUAttack, PatchAttack
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.models import SiameseEstimator, nanotrack
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import PointSettings, VideoFrames
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOTH = pytest.mark.parametrize("version", [2, 3])
CPU = {"device_type": "cpu"}


def predict(estimator, x, y):
    return estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]


@BOTH
def test_sizes_are_those_of_the_published_networks(version):
    network = random_nanotrack(version)
    z, x = torch.rand(1, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
    channels, side, parameters = {2: (48, 16, 334_078), 3: (96, 15, 541_446)}[version]
    assert network.embed(z).shape == (1, channels, 8, 8) and network.embed(x).shape == (2, channels, 16, 16)
    output, second = network(z, x), network(z, x[1:])
    assert output.cls.shape == (2, 2, side, side) and output.loc.shape == (2, 4, side, side)
    torch.testing.assert_close(torch.cat([*output], 1)[1:], torch.cat([*second], 1), rtol=1e-4, atol=1e-4)
    assert sum(tensor.numel() for tensor in network.parameters()) == parameters


def test_a_template_of_another_size_is_refused():
    with pytest.raises(InvalidValueError) as caught:
        random_nanotrack()(torch.rand(1, 3, 150, 150), torch.rand(1, 3, 255, 255))
    assert (caught.value.key, caught.value.got) == ("template features", "shape (1, 96, 10, 10)")


@BOTH
def test_arrays_and_tensors_are_tracked(version):
    x, y, _ = screen_scene()
    estimator = random_nanotrack_estimator(version)
    boxes = predict(estimator, x, y)
    assert boxes.shape == (5, 4) and boxes.dtype == np.float32 and np.abs(np.diff(boxes, axis=0)).max() > 0.1
    tensor_boxes = predict(estimator, torch.from_numpy(x).requires_grad_(), y)
    np.testing.assert_allclose(tensor_boxes.detach().numpy(), boxes, atol=1e-3)
    gradient = estimator.loss_gradient(x, y)
    assert gradient.shape == x.shape and np.abs(gradient).max() > 0


def test_loss_gradient_agrees_with_finite_differences():
    x, _, _ = screen_scene(frames=2, height=48, width=64)
    truth = torch.tensor([[20, 10, 40, 40], [21, 11, 41, 41]], dtype=torch.float64)
    estimator = SiameseEstimator(random_nanotrack(dtype=torch.float64), PointSettings(), device_type="cpu")
    video = torch.from_numpy(x[0].astype(np.float64)).requires_grad_()

    def loss(video):
        return (estimator.track(VideoFrames(video), truth[0]) - truth).abs().sum()

    gradient = torch.autograd.grad(loss(video), video)[0]
    noise = torch.randn(video.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direction = noise * gradient.abs()
    step = 1e-4 / direction.abs().max()
    with torch.no_grad():
        difference = (loss(video + step * direction) - loss(video - step * direction)) / (2 * step)
    assert difference.item() == pytest.approx((gradient * direction).sum().item(), rel=0.02)


def test_activations_of_every_layer():
    crops = np.random.default_rng(0).random((2, 127, 127, 3), dtype=np.float32)
    estimator = random_nanotrack_estimator()
    shapes = [estimator.get_activations(crops, layer).shape for layer in range(10)]
    assert shapes[0] == (2, 16, 64, 64) and shapes[4] == (2, 40, 8, 8) and shapes[9] == (2, 96, 8, 8)
    last = estimator.get_activations(crops, 9)
    np.testing.assert_array_equal(estimator.get_activations(crops, "features.9"), last)
    with pytest.raises(InvalidValueError) as caught:
        estimator.get_activations(crops, "layer1")
    assert (caught.value.key, caught.value.got) == ("layer", "'layer1'")


def test_full_frame_preprocessors_work():
    x, y, _ = screen_scene()
    bare, defended = (
        random_nanotrack_estimator(preprocessing_defences=steps) for steps in (None, [SpatialSmoothing()])
    )
    assert defended.frame_operations and not bare.frame_operations
    assert np.abs(predict(defended, x, y) - predict(bare, x, y)).max() > 1e-3


@pytest.mark.parametrize("loss", ["l1", "expected_l1", "giou", "score"])
@BOTH
def test_both_memory_modes_of_the_patch_give_the_same_gradient(version, loss):
    network = random_nanotrack(version, torch.float64)
    check_same_gradient(network, PointSettings(), loss, frames=5, everywhere=True)


ATTACKS = {
    "patch": (PatchAttack, {"max_iter": 2}),
    "patch_on_whole_frames": (PatchAttack, {"max_iter": 1}),
    "pgd": (PGD, {"max_iter": 2}),
    "iou": (IoUAttack, {"max_queries": 16, "block_size": 4}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_work(name):
    kind, settings = ATTACKS[name]
    x, y, metadata = screen_scene(frames=3)
    estimator = random_nanotrack_estimator()
    if name == "patch_on_whole_frames":
        estimator.set_params(preprocessing_defences=[SpatialSmoothing(window_size=3)])
    x_adv = kind(estimator, verbose=False, **settings).generate(x=x, y=y, y_patch_metadata=metadata)
    assert x_adv.shape == x.shape and x_adv.min() >= 0 and x_adv.max() <= 1
    assert np.abs(predict(estimator, x_adv, y) - predict(estimator, x, y)).max() > 1e-2


def test_the_attack_on_anchors_is_refused():
    with pytest.raises(EstimatorError, match="RTAA requires an estimator derived from .*SiamRPNEstimator"):
        RTAA(random_nanotrack_estimator())


def checkpoint_of(network):
    """As published: with a layer that is never run, and the optimiser's state with numpy's numbers in it."""
    state = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    state["neck.downsample.0.weight"] = torch.zeros(96, 96, 1, 1)
    return {"epoch": 35, "state_dict": state, "optimizer": {"param_groups": [{"lr": np.float64(0.1)}]}}


@BOTH
def test_published_checkpoints_load_with_the_constants_of_their_version(tmp_path, version):
    network = random_nanotrack(version)
    torch.save(checkpoint_of(network), tmp_path / "nano.pth")
    estimator = nanotrack({"version": version}, {**CPU, "tracking": {"context": 0.4}}, tmp_path / "nano.pth")
    freeze(network)
    torch.testing.assert_close(estimator.model.state_dict(), network.state_dict(), rtol=0, atol=0)
    found = estimator.settings
    constants = (found.penalty_k, found.window_influence, found.learning_rate)
    assert constants == {2: (0.150, 0.490, 0.385), 3: (0.138, 0.455, 0.348)}[version]
    assert found.context == 0.4 and found.instance_size == 255


def without(state):
    del state["ban_head.down_cls.0.bias"]


def misshapen(state):
    state["backbone.features.0.0.weight"] = torch.zeros(16, 3, 5, 5)


def foreign(state):
    state["rpn_head.cls.head.0.weight"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (without, "1 missing: ban_head.down_cls.0.bias"),
        (misshapen, "1 misshapen: backbone.features.0.0.weight (expected float (16, 3, 3, 3), got"),
        (foreign, "1 unexpected: rpn_head.cls.head.0.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, got):
    checkpoint, path = checkpoint_of(random_nanotrack()), tmp_path / "nano.pth"
    change(checkpoint["state_dict"])
    torch.save(checkpoint, path)
    with pytest.raises(InvalidValueError) as error:
        nanotrack({}, CPU, path)
    assert error.value.key == str(path)
    assert "NanoTrack version 3" in error.value.expected
    assert got in error.value.got


def test_a_checkpoint_that_wants_to_run_code_is_refused(tmp_path):
    path = tmp_path / "nano.pth"
    torch.save({**checkpoint_of(random_nanotrack()), "hook": codecs.decode}, path)
    with pytest.raises(InvalidValueError) as error:
        nanotrack({}, CPU, path)
    assert error.value.key == str(path)
    assert "_codecs.decode" in error.value.got


@pytest.mark.parametrize(
    ("model_kwargs", "wrapper_kwargs", "key", "got"),
    [
        ({"version": 1}, {}, "model_kwargs.version", "1"),
        ({"depth": 2}, {}, "model_kwargs.depth", "an unknown one"),
        ({}, {"tracking": {"k": 1}}, "wrapper_kwargs.tracking.k", "an unknown one"),
    ],
)
def test_wrong_settings_are_named(model_kwargs, wrapper_kwargs, key, got):
    with pytest.raises(InvalidValueError) as caught:
        nanotrack(model_kwargs, wrapper_kwargs, None)
    assert (caught.value.key, caught.value.got) == (key, got)


def test_missing_weights_come_with_their_source():
    with pytest.raises(MissingFileError) as caught:
        nanotrack({}, {}, None)
    assert caught.value.key == "weights_file" and "nanotrackv3.pth" in caught.value.expected
    assert "https://github.com/HonglinChu" in caught.value.fix


def real_video(shared_data, name):
    (sequence,) = find_sequences(shared_data / "otb", [name])
    frames = np.stack([cv2.imread(str(path))[..., ::-1] for path in sequence.images])
    return frames[None].astype(np.float32) / 255, [{"boxes": sequence.boxes_xyxy}]


def published(shared_data, version):
    return nanotrack({"version": version}, CPU, shared_data / "weights" / f"nanotrackv{version}.pth")


@pytest.mark.parametrize(("name", "least"), [("Crossing", 0.70), ("Human7", 0.80)])
@BOTH
def test_people_in_real_video_are_tracked(shared_data, version, name, least):
    x, y = real_video(shared_data, name)
    overlap = overlaps(predict(published(shared_data, version), x, y), y[0]["boxes"])[1:]
    assert overlap.mean() >= least and overlap.min() > 0.4


def test_a_patch_leads_the_published_tracker_astray(shared_data):
    x, y = real_video(shared_data, "Crossing")
    x, boxes_xyxy = x[:, :6], y[0]["boxes"][:6]
    x1, y1, x2, y2 = boxes_xyxy[0]
    corners = [[x1 - 30, y1 - 15], [x2 + 30, y1 - 15], [x2 + 30, y2 + 15], [x1 - 30, y2 + 15]]
    masks = np.ones(x.shape[1:4], np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes_xyxy.astype(int), strict=True):
        mask[top:bottom, left:right] = 0
    metadata = [{"gs_coords": np.array([corners] * len(masks)).astype(int), "masks": masks, "shading": False}]
    estimator, labels = published(shared_data, 3), [{"boxes": boxes_xyxy}]
    x_adv = PatchAttack(estimator, max_iter=6, verbose=False).generate(x=x, y=labels, y_patch_metadata=metadata)
    before, after = (overlaps(predict(estimator, shown, labels), boxes_xyxy)[1:].mean() for shown in (x, x_adv))
    assert before > 0.7 and after < before - 0.3
