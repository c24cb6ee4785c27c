from dataclasses import replace

import numpy as np
import pytest
from doubles import random_nanotrack
from safetensors.torch import save_file

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.io import hash_file
from armory_skelevision.models import load_tracker, siamrpn_stl
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import PointSettings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.packaged import packaged_weights

STL, MTL = "siamrpn_alex_stl.safetensors", "siamrpn_alex_mtl.safetensors"


def test_a_name_is_the_packaged_tracker():
    named, built = load_tracker("siamrpn_stl", device="cpu"), siamrpn_stl({}, {"device_type": "cpu"})
    assert named.settings == built.settings
    ours, theirs = named.model.state_dict(), built.model.state_dict()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(("name", "depth"), [("siamrpn_stl", None), ("siamrpn_mtl", "shallow")])
def test_a_name_has_its_keypoint_head(name, depth):
    assert load_tracker(name).model.keypoint_head_kind == depth


@pytest.mark.parametrize(("weights", "depth"), [(STL, None), (packaged_weights(MTL), "shallow")])
def test_a_weights_file_is_enough(weights, depth):
    assert load_tracker(weights).model.keypoint_head_kind == depth


@pytest.mark.parametrize("kind", ["deep", "regression"])
def test_tensors_alone_are_recognised(kind, tmp_path):
    path = tmp_path / "tensors.safetensors"
    save_file(SiamRPN(keypoint_head=kind).state_dict(), path)
    assert load_tracker(path).model.keypoint_head_kind == kind
    assert load_tracker("siamrpn_mtl", path).model.keypoint_head_kind == kind


@pytest.mark.parametrize("version", [2, 3])
def test_nanotrack_is_recognised_in_either_version(version, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(random_nanotrack(version).state_dict(), path)
    for tracker in (load_tracker(path), load_tracker("nanotrack", path)):
        assert tracker.model.version == version
        assert isinstance(tracker.settings, PointSettings)


def test_constants_of_the_tracker_can_be_given():
    usual = load_tracker("siamrpn_mtl").settings
    changed = load_tracker("siamrpn_mtl", tracking={"window_influence": 0.11}).settings
    assert changed.window_influence == 0.11
    assert changed.penalty_k == usual.penalty_k


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"name": "siamrpn"}, "name"),
        ({"name": "elsewhere", "weights": STL}, "name"),
        ({"name": STL, "weights": STL}, "name"),
        ({"name": "siamrpn_mtl", "weights": STL}, "weights"),
        ({"name": "siamrpn_stl", "weights": MTL}, "weights"),
        ({"name": "nanotrack", "weights": MTL}, "weights"),
        ({"name": "siamrpn_stl", "device": "cuda:0"}, "device"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, key):
    with pytest.raises(InvalidValueError) as error:
        load_tracker(**arguments)
    assert error.value.key == key


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InvalidValueError) as error:
        load_tracker("siamrpn_stl", device="gpu")
    assert error.value.key == "device"


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_tracker("nowhere.pth")


@pytest.mark.parametrize("changes", [{"name": None}, {"name": 3}, {"weights": 3}, {"tracking": [1]}, {"tracking": "x"}])
def test_arguments_of_another_type_are_named(changes):
    with pytest.raises(InvalidValueError) as caught:
        load_tracker(**{"name": "siamrpn_stl", **changes})
    assert caught.value.key in changes


def test_a_tracker_knows_what_it_was_made_from(tmp_path):
    named = load_tracker("siamrpn_mtl", device="cpu", tracking={"window_influence": 0.4}).origin
    config = build_config("walkers", "mtl")["model"]
    assert named.section == {**config, "wrapper_kwargs": {"tracking": {"window_influence": 0.4}}}
    assert named.weights == {MTL: hash_file(packaged_weights(MTL))}
    path = tmp_path / "deep.safetensors"
    save_file(SiamRPN(keypoint_head="deep").state_dict(), path)
    given = load_tracker(path).origin
    assert (given.section["name"], given.section["model_kwargs"]) == ("siamrpn_mtl", {"keypoint_head": "deep"})
    assert given.section["weights_file"] == str(path) and given.weights == {str(path): hash_file(path)}


def test_another_network_or_other_settings_are_of_unknown_origin():
    tracker = load_tracker("siamrpn_stl", device="cpu")
    tracker.set_params(preprocessing_defences=None)
    assert tracker.origin is not None
    tracker.set_params(settings=replace(tracker.settings, window_influence=0.1))
    assert tracker.origin is None
