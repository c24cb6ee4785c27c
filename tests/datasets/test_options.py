"""Options that all data sets have, by the functions that configs name."""

import inspect

import pytest

from armory_skelevision.datasets import (
    carla_video_tracking,
    coco_people,
    otb_person,
    sequences,
    walker_people,
    walkers,
)
from armory_skelevision.validation import InvalidValueError

FUNCTIONS = [carla_video_tracking, coco_people, otb_person, sequences, walker_people, walkers]
PATHS = [
    (function, name)
    for function in FUNCTIONS
    for name in ("dataset_dir", "root", "annotations", "images")
    if name in inspect.signature(function).parameters
]


@pytest.mark.parametrize(("function", "name"), PATHS)
@pytest.mark.parametrize("path", ["", "a" * 256, "a\0"], ids=["none", "a long name", "a NUL"])
def test_paths_that_are_none_are_refused_by_their_key(function, name, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    required = {"layout": "otb", "root": "otb"} if function is sequences else {}
    options = {"dataset_dir": tmp_path / "data", **required, name: path}
    with pytest.raises(InvalidValueError) as caught:
        function(**options)
    assert caught.value.key == name
    assert list(tmp_path.iterdir()) == []
