"""Settings of training runs: what is accepted, and which key an error is about."""

import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from armory_skelevision.cli import app
from armory_skelevision.training.adversarial.settings import AdversarialSettings
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.training.settings import MultitaskSettings, parse_changes, read_settings
from armory_skelevision.validation import InvalidValueError, MissingFileError

GOOD = {"store": "a", "validation_store": "b", "folder": "c"}
HEAD_ALONE = {"train_only": "keypoint_head", "init": "a", "keypoint_head": "deep"}
KINDS = {
    "multitask": MultitaskSettings,
    "dualossdef": DuaLossDefSettings,
    "backdoor": BackdoorSettings,
    "adversarial": AdversarialSettings,
}


def good(kind):
    return GOOD | ({"init": "d"} if kind in (BackdoorSettings, AdversarialSettings) else {})


def write(folder, values):
    path = folder / "settings.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def refusal(path, kind, changes=None):
    with pytest.raises(InvalidValueError) as caught:
        read_settings(path, kind, changes)
    return caught.value


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"stepz": 3}, "stepz"),
        ({"lambda_k": 0.2}, "lambda_k"),
        ({"lambda_k": -1}, "lambda_k"),
        ({"search_side": 250}, "search_side"),
        ({"search_side": 175}, "search_side"),
        ({"precision": "half"}, "precision"),
        ({"schedule": "linear"}, "schedule"),
        ({"train_only": "backbone"}, "train_only"),
        ({"train_only": "keypoint_head", "keypoint_head": "deep"}, "train_only"),
        ({"train_only": "keypoint_head", "init": "a"}, "train_only"),
        (HEAD_ALONE | {"lambda_k": 1}, "lambda_k"),
        ({"tensorboard": 1}, "tensorboard"),
        ({"negative_pair_ratio": 1.0}, "negative_pair_ratio"),
        ({"keypoint_head": True}, "keypoint_head"),
        ({"init": 1}, "init"),
        ({"init": ""}, "init"),
        ({"tracking": []}, "tracking"),
        ({"tracking": None}, "tracking"),
        ({"tracking": {"penalty_k": True}}, "tracking"),
        ({"tracking": {"penalty_k": "0.1"}}, "tracking"),
        ({"tracking": {"penalty": 1}}, "tracking.penalty"),
        ({"tracking": {"window_influence": 2}}, "tracking.window_influence"),
        ({"tracking": {"instance_size": 255.5}}, "tracking.instance_size"),
    ],
)
def test_settings_are_checked(tmp_path, change, key):
    path = write(tmp_path, GOOD | change)
    assert refusal(path, MultitaskSettings).key == f"{path}.{key}"


NUMBERS = {
    "seed": [-1, 2**63 - 1 + 1, 1.0],
    "steps": [0, -1, 2.5, 2.0, 10**18],
    "batch_size": [0, 1.5, 10**9],
    "search_side": [0, 191.0, 40015],
    "warmup_steps": [-1, 0.5, 10**18],
    "hard_negatives": [-1, 1.5, 10**9],
    "workers": [-1, 1.0, 10**6],
    "validation_pairs": [0, 2.5, 10**9],
    "validation_steps": [0, 2.5, 10**18],
    "learning_rate": [0, -1, 1e300],
    "weight_decay": [-1e-3, 1e300],
    "checkpoint_minutes": [-1, 1e300],
    "negative_pair_ratio": [-0.1, 1, 5],
}
ALWAYS_WRONG = [True, False, "x", "8e-4", "1", None, [], [1], {}, float("nan"), float("inf")]
SPECIFIC = {
    "multitask": {"lambda_k": [-1, 1e300]},
    "dualossdef": {"lambda_clean": [-1, 1e300], "mu": [-1, 1e300], "gate": [-1, 1e300]},
    "adversarial": {"attacked": [-0.1, 1.1], "features": [-1, 1e300], "inner_stride": [0, 11]},
    "backdoor": {
        "poison_rate": [0, 1.1],
        "feature_weight": [0, -1, 1e300],
        "feature_margin": [0, 2.1],
        "feature_preservation": [-1, 1e300],
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_checked_by_type_and_range(kind):
    for name, wrong in (NUMBERS | SPECIFIC[kind]).items():
        for value in wrong + ALWAYS_WRONG:
            with pytest.raises(InvalidValueError) as caught:
                KINDS[kind].from_dict(good(KINDS[kind]) | {name: value}, "file")
            assert caught.value.key == f"file.{name}", value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["a" * 256, "a/" * 600, "a\0"], ids=["a long name", "many levels", "a NUL"])
def test_paths_that_no_system_takes_are_refused(kind, path):
    names = ["store", "validation_store", "folder", "tracker" if kind == "dualossdef" else "init"]
    for name in names:
        with pytest.raises(InvalidValueError) as caught:
            KINDS[kind].from_dict(good(KINDS[kind]) | {name: path}, "file")
        assert caught.value.key == f"file.{name}" and len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["store", "validation_store", "folder", "licence"])
def test_texts_are_one_line(kind, name):
    for value in [1, True, [], "", " ", "a\nb", "a\0b", "\x1b[2J", "x" * 5000]:
        with pytest.raises(InvalidValueError) as caught:
            KINDS[kind].from_dict(good(KINDS[kind]) | {name: value}, "file")
        assert caught.value.key == f"file.{name}", value


@pytest.mark.parametrize(
    "trigger",
    [
        {"colour": 1},
        {"picture": 5},
        {"seed": 1.5},
        {"seed": True},
        {"cells": 0},
        {"area": "0.1"},
        {"area": 0},
        {"place": [0.5]},
        {"place": [0.5, "x"]},
        {"place": 0.5},
    ],
)
def test_triggers_are_checked(trigger):
    with pytest.raises(InvalidValueError) as caught:
        BackdoorSettings.from_dict(good(BackdoorSettings) | {"trigger": trigger}, "file")
    assert caught.value.key == f"file.trigger.{next(iter(trigger))}"


def test_a_run_is_not_written_into_its_store():
    for folder in ("a", "a/run", "b/../b"):
        with pytest.raises(InvalidValueError) as caught:
            MultitaskSettings.from_dict(GOOD | {"folder": folder}, "file")
        assert caught.value.key == "file.folder"
    MultitaskSettings.from_dict(GOOD | {"folder": "."}, "file")


@pytest.mark.parametrize("kind", ["multitask", "backdoor"])
def test_settings_are_changed_on_the_command_line(tmp_path, kind):
    path = write(tmp_path, GOOD | {"init": "d"})
    found = CliRunner().invoke(app, ["train", kind, str(path), "--set", "seed=44", "--set", "lambda_k=0.4"])
    assert isinstance(found.exception, InvalidValueError)
    assert (found.exception.key, found.exception.got) == (f"{path}.lambda_k", "0.4")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("steps=2.5", "steps"),
        ("steps=true", "steps"),
        ("steps=1e30", "steps"),
        ("steps=", "steps"),
        ("steps=99999999999999999999", "steps"),
        ("learning_rate=NaN", "learning_rate"),
        ("learning_rate=8e-4x", "learning_rate"),
        ("learning_rate=1e999", "learning_rate"),
        ("seed=x", "seed"),
        ("tracking.penalty_k=0.1", "tracking.penalty_k"),
        (" steps=3", " steps"),
    ],
)
def test_wrong_changes_are_refused_by_key(tmp_path, change, key):
    path = write(tmp_path, GOOD)
    assert refusal(path, MultitaskSettings, parse_changes([change])).key == f"{path}.{key}"


def test_changes_are_json_or_text():
    lines = ["loss=cls", "mu=0", "eps=[0.01, 0.02]", "folder=runs/a=b", 'store="1"']
    expected = {"loss": "cls", "mu": 0, "eps": [0.01, 0.02], "folder": "runs/a=b", "store": "1"}
    assert parse_changes(lines) == expected


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (["mu"], "--set"),
        (["=1"], "--set"),
        ([""], "--set"),
        (["mu=1", "mu=1"], "--set mu"),
        (["eps=[0.1, 0.2"], "--set eps"),
        (['tracking={"penalty_k": 0.1, "penalty_k": 0.2}'], "--set tracking"),
        (["eps=[NaN, 1]"], "--set eps"),
    ],
)
def test_changes_that_are_none(lines, key):
    with pytest.raises(InvalidValueError) as caught:
        parse_changes(lines)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[1]", ""),
        ("{", ""),
        ('{"store": "a", "store": "b"}', ""),
        ('{"steps": NaN}', ""),
        ('{"steps": 1e999}', ""),
        ("", ""),
        ("{}", ".store"),
        ('{"tracking": {"penalty_k": 1, "penalty_k": 2}}', ""),
    ],
)
def test_files_that_are_no_settings(tmp_path, text, key):
    path = write(tmp_path, text)
    assert refusal(path, MultitaskSettings).key == f"{path}{key}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingFileError):
        read_settings(tmp_path / "none.json", MultitaskSettings)
    for path in (tmp_path, Path("/dev/zero")):
        assert refusal(path, MultitaskSettings).key == str(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_value_of_any_setting_is_taken_as_it_is_or_refused_by_its_key(kind, data):
    known = [field.name for field in fields(KINDS[kind])]
    changed = data.draw(st.dictionaries(st.sampled_from(known), values, min_size=1, max_size=2))
    refused = None
    try:
        read = KINDS[kind].from_dict(good(KINDS[kind]) | changed, "file")
    except InvalidValueError as error:
        refused = error.key
    if refused is not None:
        assert refused.split(".")[1] in known
        return
    for name, value in changed.items():
        field = next(field for field in fields(KINDS[kind]) if field.name == name)
        assert getattr(read, name) == (tuple(value) if isinstance(value, list) else value)
        if isinstance(field.default, float):
            assert type(value) in (int, float)
        elif field.default is not MISSING and field.default is not None:
            assert type(getattr(read, name)) is type(field.default)
