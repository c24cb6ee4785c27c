"""SiamRPN++: PySOT's constants and weights, its tracking loop, and all that works for SiamRPN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from doubles import (
    SMALL_LEVELS,
    cleaner,
    random_siamrpnpp,
    random_siamrpnpp_estimator,
    screen_scene,
)
from memory_modes import check_same_gradient
from pysot_loop import track_like_pysot

from armory_skelevision import load_tracker, models
from armory_skelevision.attacks import PGD, RTAA, AutoPatch, IoUAttack, PatchAttack
from armory_skelevision.attacks.patch.reach import response_size
from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.defenses.first_frame import FirstFrameLoss
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.networks import SiamRPN, SiamRPNpp
from armory_skelevision.networks.inference import freeze
from armory_skelevision.tracking import Crops, MultiLevelSettings, VideoFrames, track
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.architectures import ARCHITECTURES
from armory_skelevision.weights.loading import load_siamrpn, save_weights
from armory_skelevision.weights.metadata import Metadata

R50, OTB, MOBILE = "siamrpn_r50_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_otb", "siamrpn_mobilev2_l234_dwxcorr"
CPU = {"device_type": "cpu"}
# PENALTY_K, WINDOW_INFLUENCE and LR of PySOT's experiments.
CONSTANTS = {R50: (0.05, 0.42, 0.38), OTB: (0.24, 0.5, 0.25), MOBILE: (0.04, 0.4, 0.5)}
ALL = pytest.mark.parametrize("name", CONSTANTS)


def predict(estimator, x, y):
    return estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]


def file_of(folder, name, **tensors):
    """A checkpoint of PySOT's form with one stored number per tensor, which is all that most tests need."""
    with torch.device("meta"):
        shapes = SiamRPNpp(name).state_dict()
    state = {tensor: torch.zeros((), dtype=each.dtype).expand(each.shape) for tensor, each in shapes.items()}
    path = folder / f"{name}.pth"
    torch.save({"epoch": 19, "state_dict": {f"module.{key}": value for key, value in (state | tensors).items()}}, path)
    return path


def constants_of(estimator):
    settings = estimator.settings
    return settings.penalty_k, settings.window_influence, settings.learning_rate


@ALL
def test_a_checkpoint_is_recognised_and_has_the_published_constants(tmp_path, name):
    path = file_of(tmp_path, name)
    made = [load_tracker(path)]
    if name == MOBILE:  # the others take longer
        made += [load_tracker(name, path), models.siamrpn_mobilev2_l234_dwxcorr({}, CPU, path)]
    for estimator in made:
        assert isinstance(estimator, SiamRPNEstimator) and estimator.model.architecture == name
        assert constants_of(estimator) == CONSTANTS[name]
        sizes = (estimator.settings.exemplar_size, estimator.settings.instance_size, estimator.settings.context)
        assert sizes == (127, 255, 0.5)


def test_constants_of_a_config_take_precedence(tmp_path):
    settings = {**CPU, "tracking": {"penalty_k": 0.1}}
    changed = models.siamrpn_mobilev2_l234_dwxcorr({}, settings, file_of(tmp_path, MOBILE))
    assert constants_of(changed) == (0.1, *CONSTANTS[MOBILE][1:])


@pytest.mark.parametrize(
    ("held", "wanted"), [(R50, OTB), (OTB, R50), (MOBILE, R50), (R50, "siamrpn_stl"), ("alexnet", MOBILE)]
)
def test_another_architecture_is_named_with_the_way_to_load_it(tmp_path, held, wanted):
    if held == "alexnet":
        path = tmp_path / "net.pth"
        torch.save(SiamRPN().state_dict(), path)
    else:
        path = file_of(tmp_path, held)
    with pytest.raises(InvalidValueError) as caught:
        getattr(models, wanted)({}, CPU, path)
    assert caught.value.key == str(path)
    assert caught.value.fix == f"load it with {'siamrpn_stl' if held == 'alexnet' else held}"


@pytest.mark.parametrize(
    ("tensors", "got"),
    [
        ({"neck.downsample4.downsample.0.weight": torch.zeros(256, 448, 3, 3)}, "1 misshapen: neck.downsample4"),
        ({"backbone.fc.weight": torch.zeros(2)}, "1 unexpected: backbone.fc.weight"),
        ({"rpn_head.rpn3.cls.head.3.bias": torch.full((10,), torch.nan)}, "1 NaN or infinite: rpn_head.rpn3.cls"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, tensors, got):
    path = file_of(tmp_path, MOBILE, **tensors)
    with pytest.raises(InvalidValueError) as caught:
        models.siamrpn_mobilev2_l234_dwxcorr({}, CPU, path)
    assert caught.value.key == str(path) and caught.value.expected == f"the tensors of {MOBILE}"
    assert caught.value.got.startswith(got)


def test_weights_go_into_a_file_with_metadata_and_back(tmp_path):
    network, path = random_siamrpnpp(), tmp_path / "net.safetensors"
    metadata = Metadata(None, 0.0, "Random.", "MIT", 1, architecture=MOBILE, tracking={"penalty_k": 0.2})
    save_weights(network, path, metadata, half=False)
    for name, values in load_siamrpn(path).state_dict().items():
        assert torch.equal(values, network.state_dict()[name]), name
    assert constants_of(load_tracker(path)) == (0.2, 0.4, 0.5)
    with pytest.raises(InvalidValueError) as caught:
        save_weights(network, tmp_path / "other.safetensors", replace(metadata, architecture=R50))
    assert (caught.value.expected, caught.value.got) == (MOBILE, R50)


@pytest.mark.parametrize(
    ("model_kwargs", "wrapper_kwargs", "key"),
    [
        ({"version": 2}, {}, "model_kwargs.version"),
        ({}, {"tracking": {"k": 1}}, "wrapper_kwargs.tracking.k"),
        ({}, {"tracking": {"exemplar_size": 167}}, "wrapper_kwargs.tracking.exemplar_size"),
        ({}, {"tracking": {"instance_size": 166}}, "wrapper_kwargs.tracking.instance_size"),
    ],
)
def test_wrong_settings_are_named_before_missing_weights(model_kwargs, wrapper_kwargs, key):
    with pytest.raises(InvalidValueError) as caught:
        models.siamrpn_mobilev2_l234_dwxcorr(model_kwargs, wrapper_kwargs, None)
    assert caught.value.key == key


@ALL
def test_missing_weights_come_with_the_command_that_fetches_them(name):
    with pytest.raises(MissingFileError) as caught:
        getattr(models, name)({}, {}, None)
    assert f"{name}.pth" in caught.value.expected
    assert caught.value.fix == f"run `skelevision weights fetch {name}`"


@pytest.mark.parametrize(("name", "instance"), [(MOBILE, 255), (R50, 175)])
def test_boxes_equal_an_independent_loop_of_pysots_equations(name, instance):
    x, _, _ = screen_scene(frames=4 if name == MOBILE else 2)
    settings = replace(MultiLevelSettings(), **ARCHITECTURES[name].constants, instance_size=instance)
    network = random_siamrpnpp(name)
    constants = dict(zip(("penalty_k", "window_influence", "learning_rate"), CONSTANTS[name], strict=True))
    box_xywh = [60.0, 40.0, 20.0, 45.0]
    frames_bgr = x[0][..., ::-1].astype(np.float64) * 255
    expected_xywh = track_like_pysot(network, frames_bgr, box_xywh, **constants, instance=instance, base_size=8)
    box_xyxy = torch.tensor([60.0, 40, 80, 85], dtype=torch.float64)
    with torch.no_grad():
        crops = Crops(network, VideoFrames(torch.from_numpy(x[0])), box_xyxy, settings)
        boxes_xyxy = torch.stack([step.box_xyxy for step in track(crops)]).numpy()
    expected_xyxy = np.concatenate([expected_xywh[:, :2], expected_xywh[:, :2] + expected_xywh[:, 2:]], axis=1)
    assert np.abs(np.diff(expected_xyxy, axis=0)).max() > 0.5
    np.testing.assert_allclose(boxes_xyxy, expected_xyxy, atol=2e-3)


@pytest.mark.parametrize("name", [R50, MOBILE])
def test_a_frozen_network_says_what_it_said_before(name):
    network = random_siamrpnpp(name)
    crops = [torch.rand(1, 3, side, side) * 255 for side in (103, 167)]
    with torch.no_grad():
        wanted = network(*crops)
        freeze(network)
        found = network(*crops)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3 * float(other.abs().max()))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_half_precision_is_near():
    network = random_siamrpnpp()
    crops = [torch.rand(1, 3, side, side) * 255 for side in (103, 167)]
    with torch.no_grad():
        wanted, found = network(*crops), network.rounded()(*crops)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32 and 0 < (one - other).std() < 0.3 * other.std()


def test_reach_and_activations():
    estimator = random_siamrpnpp_estimator()
    assert response_size(estimator.model, SMALL_LEVELS) == (175 - 127) // 8 + 1 + 8
    crops = np.random.default_rng(0).random((2, 127, 127, 3), dtype=np.float32)
    assert estimator.get_activations(crops, "layer5").shape == (2, 134, 15, 15)
    np.testing.assert_array_equal(estimator.get_activations(crops, 7), estimator.get_activations(crops, "layer7"))


def test_both_memory_modes_of_the_patch_give_the_same_gradient():
    check_same_gradient(random_siamrpnpp(dtype=torch.float64), SMALL_LEVELS, "expected_l1", frames=2)


ATTACKS = {
    "patch": (PatchAttack, {"max_iter": 1}),
    "patch_on_whole_frames": (PatchAttack, {"max_iter": 1}),
    "auto_patch": (AutoPatch, {"budget": 3}),
    "pgd": (PGD, {"max_iter": 1}),
    "rtaa": (RTAA, {"max_iter": 2}),
    "iou": (IoUAttack, {"max_queries": 8, "block_size": 4}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_work(name):
    kind, settings = ATTACKS[name]
    x, y, metadata = screen_scene(frames=2)
    estimator = random_siamrpnpp_estimator()
    if name == "patch_on_whole_frames":
        estimator.set_params(preprocessing_defences=[SpatialSmoothing(window_size=3)])
    x_adv = kind(estimator, verbose=False, **settings).generate(x=x, y=y, y_patch_metadata=metadata)
    assert x_adv.shape == x.shape and x_adv.min() >= 0 and x_adv.max() <= 1
    assert np.abs(predict(estimator, x_adv, y) - predict(estimator, x, y)).max() > 1e-3


def test_region_defenses_change_the_crops(tmp_path):
    x, y, _ = screen_scene(frames=2)
    bare = predict(random_siamrpnpp_estimator(), x, y)
    defense = cleaner(tmp_path)
    defended = predict(random_siamrpnpp_estimator(preprocessing_defences=[defense]), x, y)
    assert np.isfinite(defended).all() and np.abs(defended - bare).max() > 1e-3


def test_template_adaptation_lowers_the_loss_of_the_first_frame():
    x, y, _ = screen_scene(frames=2)
    estimator = random_siamrpnpp_estimator()
    crops = estimator.crops(VideoFrames(torch.from_numpy(x[0])), torch.from_numpy(y[0]["boxes"][0]))
    loss = FirstFrameLoss(crops, 1, torch.Generator().manual_seed(0))
    template = crops.template.flip(1) / 255
    # Random weights are rougher than a trained network: only small steps go down.
    adapted = TemplateAdaptation(augment=1, max_iter=2, eps_step=0.1 / 255).defend_template(template, crops)
    with torch.no_grad():
        assert loss(adapted) < loss(template)
