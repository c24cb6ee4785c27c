"""SiamFC++: video_analyst's constants and weights, its tracking loop and crops between pixels, and what works on it."""

import cv2
import numpy as np
import pytest
import torch
from art.exceptions import EstimatorError
from doubles import cleaner, random_siamfcpp, random_siamfcpp_estimator, screen_scene
from memory_modes import check_same_gradient
from video_analyst_loop import get_subwindow, track_like_video_analyst

from armory_skelevision import load_tracker, models
from armory_skelevision.attacks import PGD, RTAA, AutoPatch, IoUAttack, PatchAttack
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.defenses.first_frame import FirstFrameLoss, box_in_window
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.networks import SiamFCpp
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import Crops, PointSettings, QualitySettings, VideoFrames, track
from armory_skelevision.tracking.windows import cut_crop, initial_state, sampled_window, search_window
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.loading import load_siamrpn, save_weights
from armory_skelevision.weights.metadata import Metadata

CPU = {"device_type": "cpu"}


def predict(estimator, x, y):
    return estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]


def published(network):
    """As published: a training's snapshot, with video_analyst's name of the backbone."""
    state = {name.replace("backbone.", "basemodel."): values for name, values in network.state_dict().items()}
    return {"epoch": 19, "model_state_dict": state}


def test_a_published_checkpoint_loads_with_its_constants(tmp_path):
    network, path = random_siamfcpp(), tmp_path / "siamfcpp.pkl"
    torch.save(published(network), path, _use_new_zipfile_serialization=False)
    freeze(network)
    for estimator in (models.siamfcpp_alexnet({}, CPU, path), load_tracker(path)):
        assert type(estimator) is SiameseEstimator
        torch.testing.assert_close(estimator.model.state_dict(), network.state_dict(), rtol=0, atol=0)
        settings = estimator.settings
        assert (settings.penalty_k, settings.window_influence, settings.learning_rate) == (0.08, 0.21, 0.58)
        assert (settings.exemplar_size, settings.instance_size, settings.context) == (127, 303, 0.5)
    with pytest.raises(InvalidValueError) as caught:
        models.siamrpn_stl({}, CPU, path)
    assert (caught.value.key, caught.value.fix) == (str(path), "load it with siamfcpp_alexnet")
    with pytest.raises(InvalidValueError) as caught:
        load_siamrpn(path)
    assert (caught.value.key, caught.value.got) == (str(path), "those of siamfcpp_alexnet")


def test_weights_go_into_a_file_with_metadata_and_back(tmp_path):
    network, path = random_siamfcpp(), tmp_path / "net.safetensors"
    metadata = Metadata(None, 0.0, "Random.", "MIT", 1, architecture="siamfcpp_alexnet", tracking={"penalty_k": 0.2})
    save_weights(network, path, metadata, half=False)
    assert load_tracker(path).settings.penalty_k == 0.2


@pytest.mark.parametrize(
    ("tracking", "key"),
    [
        ({"k": 1}, "k"),
        ({"exemplar_size": 128}, "exemplar_size"),
        ({"instance_size": 311}, "instance_size"),
        ({"instance_size": 159}, "instance_size"),
    ],
)
def test_wrong_constants_are_named_before_missing_weights(tracking, key):
    with pytest.raises(InvalidValueError) as caught:
        models.siamfcpp_alexnet({}, {"tracking": tracking}, None)
    assert caught.value.key == f"wrapper_kwargs.tracking.{key}"


def test_missing_weights_come_with_their_source():
    with pytest.raises(MissingFileError) as caught:
        models.siamfcpp_alexnet({}, {}, None)
    assert "siamfcpp-alexnet-vot-md5_88e4" in caught.value.expected and "video_analyst" in caught.value.fix


def test_settings_of_another_head_are_refused():
    with pytest.raises(InvalidValueError) as caught:
        SiameseEstimator(SiamFCpp(), PointSettings(), device_type="cpu")
    assert caught.value.key == "settings" and caught.value.got == "PointSettings, for 16"


@pytest.mark.parametrize("centre", [(70.3, 51.8), (3.9, 2.2), (158.0, 117.5), (-30.0, 60.0)])
@pytest.mark.parametrize(("side", "size"), [(33, 127), (150.6, 63), (2, 9)])
def test_crops_are_sampled_between_pixels_as_in_video_analyst(centre, side, size):
    frame = screen_scene(frames=2)[0][0].astype(np.float64)
    frames = VideoFrames(torch.from_numpy(frame))
    window = sampled_window(centre[0] + 0.5, centre[1] + 0.5, side)
    found = cut_crop(frames.window(1, window), window, size)
    mean = frame[0].mean(axis=(0, 1))
    expected = get_subwindow(frame[1], centre, size, round(side), mean)[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    # OpenCV's own warp rounds the places to 1/32 of a pixel.
    reach, step = (round(side) - 1) / 2, (round(side) - 1) / (size - 1)
    matrix = np.array([[step, 0, centre[0] - reach], [0, step, centre[1] - reach]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(frame[1], matrix, (size, size), flags=flags, borderValue=tuple(mean))
    np.testing.assert_allclose(found.permute(1, 2, 0), warped, atol=2 / 32)


def test_gradients_flow_through_the_samples():
    video = torch.rand(1, 12, 14, 3, dtype=torch.float64, requires_grad=True)
    windows = [sampled_window(7.2, 5.9, 6), sampled_window(1.1, 10.4, 9)]

    def crops(pixels):
        return torch.stack([cut_crop(VideoFrames(pixels).window(0, each), each, 7) for each in windows])

    assert torch.autograd.gradcheck(crops, (video,))


def test_boxes_equal_an_independent_loop_of_video_analysts_equations():
    x, y, _ = screen_scene(frames=4)
    # In float64: where crops move between pixels, random weights amplify rounding from frame to frame.
    network = random_siamfcpp(torch.float64)
    box_xywh = [60.0, 40.0, 20.0, 45.0]
    expected_xywh = track_like_video_analyst(network, x[0][..., ::-1].astype(np.float64) * 255, box_xywh)
    with torch.no_grad():
        frames = VideoFrames(torch.from_numpy(x[0]).double())
        crops = Crops(network, frames, torch.from_numpy(y[0]["boxes"][0]), QualitySettings())
        boxes_xyxy = torch.stack([step.box_xyxy for step in track(crops)]).numpy()
    expected_xyxy = np.concatenate([expected_xywh[:, :2], expected_xywh[:, :2] + expected_xywh[:, 2:]], axis=1)
    assert np.abs(np.diff(expected_xyxy, axis=0)).max() > 0.5
    np.testing.assert_allclose(boxes_xyxy, expected_xyxy, atol=1e-3)


def test_the_first_state_is_the_box_and_windows_surround_it():
    state = initial_state(torch.tensor([10.0, 20, 30, 60]), QualitySettings())
    assert state.box_cxcywh.tolist() == [20, 40, 20, 40]
    window = search_window(state, QualitySettings())
    whole = round(np.sqrt(50 * 70) * 303 / 127)
    assert window.side == whole + 1
    assert [window.x_min + window.shift_xy[0], window.y_min + window.shift_xy[1]] == [20 - whole / 2, 40 - whole / 2]


def test_a_box_lies_where_its_pixels_lie_in_the_crop():
    settings = QualitySettings()
    state = initial_state(torch.tensor([60.0, 40, 81, 84]), settings)
    window = search_window(state, settings)
    frame = torch.zeros(2, 120, 160, 3)
    frame[0, 50:60, 30:44] = 1
    crop = cut_crop(VideoFrames(frame).window(0, window), window, settings.instance_size)[0]
    rows, columns = torch.nonzero(crop > 0.5, as_tuple=True)
    cx, cy, width, height = box_in_window(torch.tensor([30.0, 50, 44, 60]), window, settings).tolist()
    assert (columns.min() + columns.max()).item() / 2 - 151 == pytest.approx(cx, abs=0.5)
    assert (rows.min() + rows.max()).item() / 2 - 151 == pytest.approx(cy, abs=0.5)
    sides = (int(values.max() - values.min()) + 1 for values in (columns, rows))
    assert tuple(sides) == (pytest.approx(width, abs=1.5), pytest.approx(height, abs=1.5))


def test_both_memory_modes_of_the_patch_give_the_same_gradient():
    check_same_gradient(random_siamfcpp(torch.float64), QualitySettings(instance_size=207), "expected_l1")


ATTACKS = {
    "patch": (PatchAttack, {"max_iter": 1}),
    "auto_patch": (AutoPatch, {"budget": 3}),
    "pgd": (PGD, {"max_iter": 1}),
    "iou": (IoUAttack, {"max_queries": 8, "block_size": 4}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_work(name):
    kind, settings = ATTACKS[name]
    x, y, metadata = screen_scene(frames=2)
    estimator = random_siamfcpp_estimator()
    x_adv = kind(estimator, verbose=False, **settings).generate(x=x, y=y, y_patch_metadata=metadata)
    assert x_adv.shape == x.shape and x_adv.min() >= 0 and x_adv.max() <= 1
    assert np.abs(predict(estimator, x_adv, y) - predict(estimator, x, y)).max() > 1e-3


def test_the_attack_on_anchors_is_refused():
    with pytest.raises(EstimatorError, match="RTAA requires an estimator derived from .*SiamRPNEstimator"):
        RTAA(random_siamfcpp_estimator())


def test_region_defenses_change_the_crops(tmp_path):
    x, y, _ = screen_scene(frames=2)
    bare = predict(random_siamfcpp_estimator(), x, y)
    defended = predict(random_siamfcpp_estimator(preprocessing_defences=[cleaner(tmp_path)]), x, y)
    assert np.isfinite(defended).all() and np.abs(defended - bare).max() > 1e-3


def test_template_adaptation_lowers_the_loss_of_the_first_frame_step_by_step():
    x, y, _ = screen_scene(frames=2)
    estimator = random_siamfcpp_estimator()
    crops = estimator.crops(VideoFrames(torch.from_numpy(x[0])), torch.from_numpy(y[0]["boxes"][0]))
    loss = FirstFrameLoss(crops, 2, torch.Generator().manual_seed(0))
    template = crops.template.flip(1) / 255
    # Random weights are rougher than a trained network: only small steps go down.
    adaptations = [TemplateAdaptation(augment=2, max_iter=steps, eps_step=0.2 / 255) for steps in range(4)]
    with torch.no_grad():
        values = [float(loss(each.defend_template(template, crops))) for each in adaptations]
    assert values == sorted(values, reverse=True) and values[3] < values[0]
    bare = predict(estimator, x, y)
    estimator.set_params(preprocessing_defences=[TemplateAdaptation(augment=1, max_iter=2)])
    assert np.abs(predict(estimator, x, y) - bare).max() > 1e-4
