"""What the constructor of an estimator or a defense does and refuses, `set_params` does and refuses."""

import copy

import numpy as np
import pytest
import torch
from art.defences.postprocessor import ReverseSigmoid
from art.defences.preprocessor import JpegCompression, SpatialSmoothing
from doubles import TinySiamRPN, cleaner, random_nanotrack, random_nanotrack_estimator, screen_scene, tiny_estimator

from armory_skelevision.defenses import DuaLossDef, TemplateAdaptation
from armory_skelevision.models import SiameseEstimator, SiamRPNEstimator
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import PointSettings, TrackerSettings
from armory_skelevision.validation import InvalidTypeError, InvalidValueError


class Normalised(TinySiamRPN):
    """The tiny network with a norm, which in training mode answers otherwise, and keeps statistics."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.backbone = torch.nn.Sequential(self.backbone[0], torch.nn.BatchNorm2d(8), torch.nn.Tanh())


def boxes(estimator):
    x, y, _ = screen_scene(frames=3)
    return estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]


@pytest.mark.parametrize("given", ["in training", "in evaluation"])
def test_another_network_answers_as_in_a_new_estimator(given):
    network = Normalised(1).train(given == "in training")
    expected = boxes(SiamRPNEstimator(copy.deepcopy(network), tiny_estimator().settings, device_type="cpu"))
    estimator = tiny_estimator()
    estimator.set_params(model=network)
    np.testing.assert_array_equal(boxes(estimator), expected)
    np.testing.assert_array_equal(boxes(estimator), expected)  # nothing is kept between calls
    assert not estimator.model.training and not any(p.requires_grad for p in estimator.model.parameters())


def test_another_nanotrack_answers_as_in_a_new_estimator():
    estimator = random_nanotrack_estimator()
    network = random_nanotrack(3).train()
    expected = boxes(SiameseEstimator(copy.deepcopy(network), PointSettings(), device_type="cpu"))
    estimator.set_params(model=network)
    np.testing.assert_array_equal(boxes(estimator), expected)


def test_preprocessing_and_settings_are_prepared_as_at_first():
    estimator = tiny_estimator()
    estimator.set_params(preprocessing=(0.0, 1.0), preprocessing_defences=SpatialSmoothing(window_size=3))
    made = SiamRPNEstimator(
        TinySiamRPN(),
        tiny_estimator().settings,
        preprocessing=(0.0, 1.0),
        preprocessing_defences=SpatialSmoothing(window_size=3),
        device_type="cpu",
    )
    assert [type(each) for each in estimator.preprocessing_operations] == [
        type(each) for each in made.preprocessing_operations
    ]
    np.testing.assert_array_equal(boxes(estimator), boxes(made))
    estimator.set_params(settings=None)
    assert estimator.settings == TrackerSettings()


REFUSED = {
    "no network": {"model": None},
    "another module": {"model": torch.nn.Identity()},
    "text for a network": {"model": "siamrpn_mtl"},
    "another network": {"model": random_nanotrack()},
    "settings of another head": {"settings": PointSettings()},
    "settings as a dict": {"settings": {"context": 0.5}},
    "colours": {"clip_values": (0, 255)},
    "no colours": {"clip_values": None},
    "colours that are none": {"clip_values": ("a", "b")},
    "device": {"device_type": "tpu"},
    "channels": {"channels_first": True},
    "postprocessor": {"postprocessing_defences": [ReverseSigmoid()]},
    "no preprocessor": {"preprocessing_defences": ["jpeg"]},
    "a number of preprocessors": {"preprocessing_defences": 3},
    "preprocessing": {"preprocessing": "standard"},
    "unknown": {"tracking": {}},
    "right and wrong together": {"model": TinySiamRPN(3), "device_type": "tpu"},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_change_of_an_estimator_changes_nothing(changes):
    estimator = tiny_estimator(SpatialSmoothing(window_size=3))
    before, expected = dict(vars(estimator)), boxes(estimator)
    training = [
        module.training for value in changes.values() if isinstance(value, torch.nn.Module) for module in [value]
    ]
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        estimator.set_params(**changes)
    assert caught.value.key in changes
    assert all(vars(estimator)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(boxes(estimator), expected)
    assert training == [value.training for value in changes.values() if isinstance(value, torch.nn.Module)]
    if not {"unknown", "tracking", "channels_first"} & set(changes):
        with pytest.raises((InvalidValueError, InvalidTypeError)) as refused:
            SiamRPNEstimator(**{"model": TinySiamRPN(), "device_type": "cpu", **changes})
        assert refused.value.args == caught.value.args


def test_a_siamrpn_estimator_takes_no_other_network_even_with_fitting_settings():
    with pytest.raises(InvalidTypeError) as caught:
        tiny_estimator().set_params(model=random_nanotrack(), settings=PointSettings())
    assert caught.value.key == "model"
    with pytest.raises(InvalidValueError) as caught:
        SiameseEstimator(SiamRPN(), PointSettings(), device_type="cpu")
    assert caught.value.key == "settings"


@pytest.mark.parametrize("scale", [1e30, float("nan")])
@pytest.mark.parametrize("make", [SiamRPN, lambda: random_nanotrack(3)], ids=["siamrpn", "nanotrack"])
def test_a_network_whose_answers_are_not_finite_is_named(make, scale):
    network = make()
    with torch.no_grad():
        for weights in network.parameters():
            weights *= scale
    kind = SiamRPNEstimator if isinstance(network, SiamRPN) else SiameseEstimator
    settings = None if isinstance(network, SiamRPN) else PointSettings()
    with pytest.raises(InvalidValueError) as caught:
        boxes(kind(network, settings, device_type="cpu"))
    assert caught.value.key == "model" and "frame 0" in caught.value.got


def test_keypoints_that_are_not_finite_are_named():
    network = SiamRPN(keypoint_head="shallow")
    network.keypoint_head.forward = lambda features: torch.full((1, 17, 127, 127), float("nan"))
    with pytest.raises(InvalidValueError) as caught:
        boxes(SiamRPNEstimator(network, device_type="cpu"))
    assert caught.value.key == "model" and "keypoint" in caught.value.got


def test_a_defense_is_changed_as_it_is_made(tmp_path):
    defense = TemplateAdaptation()
    defense.set_params(max_iter=1, apply_predict=False)
    assert (defense.max_iter, defense.apply_predict, defense.apply_fit) == (1, False, False)
    for changes in ({"max_iter": -1}, {"eps": 2}, {"steps": 3}, {"apply_predict": "no"}, {"max_iter": 2, "eps": "x"}):
        before = dict(vars(defense))
        with pytest.raises(InvalidValueError) as caught:
            defense.set_params(**changes)
        assert caught.value.key in changes and vars(defense) == before
    with pytest.raises(InvalidValueError) as caught:
        TemplateAdaptation(augment=0, seed=3)
    assert caught.value.key == "seed"


def test_weights_of_a_defense_are_changed_as_they_are_loaded(tmp_path):
    defense, other = cleaner(tmp_path), cleaner(tmp_path, identity=True)
    network, path = defense.network, other.weights_file
    defense.set_params(branches="search")
    assert defense.network is network and defense.branches == "search"
    for changes in ({"weights_file": "none.pth"}, {"weights_file": path, "sha256": "0"}, {"weights_file": 3}):
        with pytest.raises((InvalidValueError, FileNotFoundError)):
            defense.set_params(**changes)
        assert defense.network is network and defense.weights_file != path
    defense.set_params(weights_file=path)
    crop = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(
        defense.defend_search(crop), DuaLossDef(path, width="small", device_type="cpu").defend_search(crop)
    )


@pytest.mark.parametrize(
    "defense", [JpegCompression(clip_values=(0, 255)), SpatialSmoothing(window_size=3, channels_first=True)]
)
def test_preprocessors_of_other_frames_are_named(defense):
    with pytest.raises(InvalidValueError) as caught:
        tiny_estimator(defense)
    assert caught.value.key == "preprocessing_defences" and type(defense).__name__ in caught.value.got
