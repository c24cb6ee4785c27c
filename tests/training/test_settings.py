"""Settings of training runs: what is accepted, and which key an error is about."""

import json

import pytest
from typer.testing import CliRunner

from armory_skelevision.cli import app
from armory_skelevision.training.settings import MultitaskSettings, parse_changes, read_settings
from armory_skelevision.validation import InvalidValueError

GOOD = {"store": "a", "validation_store": "b", "folder": "c"}
HEAD_ALONE = {"train_only": "keypoint_head", "init": "a", "keypoint_head": "deep"}


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
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"tensorboard": 1}, "tensorboard"),
        ({"negative_pair_ratio": 1.0}, "negative_pair_ratio"),
    ],
)
def test_settings_are_checked(tmp_path, change, key):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(InvalidValueError) as caught:
        read_settings(path, MultitaskSettings)
    assert caught.value.key == f"{path}.{key}"


def test_constants_of_the_tracker_are_checked(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(GOOD | {"tracking": {"penalty": 1}}))
    with pytest.raises(ValueError, match="tracking.*penalty"):
        read_settings(path, MultitaskSettings)


@pytest.mark.parametrize("kind", ["multitask", "backdoor"])
def test_settings_are_changed_on_the_command_line(tmp_path, kind):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(GOOD | {"init": "d"}))
    found = CliRunner().invoke(app, ["train", kind, str(path), "--set", "seed=44", "--set", "lambda_k=0.4"])
    assert isinstance(found.exception, InvalidValueError)
    assert (found.exception.key, found.exception.got) == (f"{path}.lambda_k", "0.4")


def test_changes_are_json_or_text():
    lines = ["loss=cls", "mu=0", "eps=[0.01, 0.02]", "folder=runs/a=b"]
    assert parse_changes(lines) == {"loss": "cls", "mu": 0, "eps": [0.01, 0.02], "folder": "runs/a=b"}
    with pytest.raises(InvalidValueError) as caught:
        parse_changes(["mu"])
    assert (caught.value.key, caught.value.got) == ("--set", "'mu'")


@pytest.mark.parametrize(
    ("text", "key"), [("[1]", ""), ("{", ""), ('{"store": "a", "store": "b"}', ""), ("{}", ".store")]
)
def test_files_that_are_no_settings(tmp_path, text, key):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        read_settings(path, MultitaskSettings)
    assert caught.value.key == f"{path}{key}"
