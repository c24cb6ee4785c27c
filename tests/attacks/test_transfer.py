"""Attacks that are made on one tracker and shown to another."""

import sys

import numpy as np
import pytest
from doubles import screen_scene, tiny_estimator
from own_trackers import RedTracker

from armory_skelevision.attacks import PGD, PatchAttack, Transfer, transfer
from armory_skelevision.attacks.interface import record_result
from armory_skelevision.attacks.patch import base
from armory_skelevision.models import ExternalEstimator
from armory_skelevision.models.adapter import TrackerAdapter
from armory_skelevision.validation import InvalidValueError, MissingFileError

X, Y, METADATA = screen_scene(frames=3)


def boxes_only():
    return ExternalEstimator(TrackerAdapter(RedTracker(), "red"), device_type="cpu")


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    """A tiny tracker in the place of the packaged ones; the list of those that were asked for."""
    asked = []
    load = transfer.load_tracker
    monkeypatch.setattr(
        transfer,
        "load_tracker",
        lambda name: asked.append(name) or (tiny_estimator() if name == "siamrpn_stl" else load(name)),
    )
    return asked


def generate(attack):
    return attack.generate(x=X, y=Y, y_patch_metadata=METADATA)


@pytest.mark.parametrize(("name", "kind"), [("PGD", PGD), ("PatchAttack", PatchAttack)])
def test_what_is_shown_is_what_the_attack_makes_of_its_source(name, kind, sources):
    settings = {"max_iter": 2, "verbose": False}
    shown = generate(Transfer(boxes_only(), source="siamrpn_stl", attack=name, kwargs=settings))
    np.testing.assert_array_equal(shown, generate(kind(tiny_estimator(), **settings)))
    assert (shown != X).any() and sources == ["siamrpn_stl"]


def test_an_exported_patch_is_shown_to_a_tracker_without_gradients(tmp_path):
    made = generate(PatchAttack(tiny_estimator(), max_iter=2, export=tmp_path / "patches", verbose=False))
    for given in (tmp_path / "patches", tmp_path / "patches" / "patch_000.npy"):
        shown = PatchAttack(boxes_only(), max_iter=0, patch_init=given)
        np.testing.assert_allclose(generate(shown), made, atol=1e-6)
        with pytest.raises(InvalidValueError) as caught:  # it would show the same patch, and call it optimised
            shown.set_params(max_iter=2)
        assert caught.value.key == "max_iter" and shown.max_iter == 0


def test_the_reach_under_the_constants_of_the_source_is_not_recorded(monkeypatch):
    recorded = []
    monkeypatch.setattr(base, "record_result", lambda name, value: recorded.append(name))
    for records in (False, True):
        attack = PatchAttack(tiny_estimator(), max_iter=1, verbose=False)
        attack.records = records
        generate(attack)
        assert len(recorded) == int(records)
    made = Transfer(boxes_only(), attack="PatchAttack", kwargs={"max_iter": 1, "verbose": False})
    generate(made)
    assert len(recorded) == 1 and len(made.made.reach) == 1
    assert "armory.instrument" in sys.modules or record_result("reach", 1) is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        *(({"source": "nothing"}, "source"), ({"source": 3}, "source"), ({"attack": "Transfer"}, "attack")),
        *(({"attack": "pgd"}, "attack"), ({"attack": None}, "attack"), ({"kwargs": {"eps": -1}}, "kwargs.eps")),
        *(({"kwargs": {"epsilon": 1}}, "kwargs.epsilon"), ({"kwargs": []}, "kwargs")),
        ({"attack": "PatchAttack", "kwargs": {"checkpoints": [1]}}, "kwargs.checkpoints"),
    ],
)
def test_settings_that_make_no_attack_are_refused(settings, key):
    with pytest.raises(InvalidValueError) as caught:
        Transfer(boxes_only(), **settings)
    assert caught.value.key == key


def test_weights_that_are_not_there_are_named():
    with pytest.raises(MissingFileError) as caught:
        Transfer(boxes_only(), source="absent.safetensors")
    assert caught.value.key == "source"
