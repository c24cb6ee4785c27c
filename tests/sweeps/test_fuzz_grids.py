"""Mutated grids: expanded as a second, small reader expands them, or refused by name."""

import copy
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from mutated_json import mutated_files, read_plainly, try_to

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.sweeps.grid import read_grid

pytestmark = pytest.mark.fuzz

BASE = build_config("walkers", "mtl", "pgd")
GRID = {
    "title": "t",
    "base": "base.json",
    "set": {"attack.kwargs.max_iter": 3, "scenario.export_batches": 1},
    "axes": {
        "model": {"STL": {"model.name": "siamrpn_stl", "model.weights_file": "a.safetensors"}, "MTL": {}},
        "attack.kwargs.eps": [0.1, 0.2],
        "attack.kwargs.seed": [0, 1],
    },
    "exclude": [{"model": "STL", "attack.kwargs.eps": 0.2}],
    "options": ["--num-eval-batches=2"],
    "published": {"source": "p", "cells": [{"where": {"model": "STL"}, "benign": 50.0, "adversarial": {"5": 25.0}}]},
}


def expand(grid: dict[str, Any]) -> list[dict[str, Any]]:
    """The configs of a grid, by the rules that the guide states."""
    axes = [
        [(value, {name: value}) for value in axis] if isinstance(axis, list) else list(axis.items())
        for name, axis in grid["axes"].items()
    ]
    configs = []
    for choices in itertools.product(*axes):
        place = dict(zip(grid["axes"], (label for label, _ in choices), strict=True))
        values = {key: value for _, settings in choices for key, value in settings.items()}
        if any(
            all(same({**values, **place}.get(key), out) for key, out in excluded.items())
            for excluded in grid.get("exclude", [])
        ):
            continue
        config = copy.deepcopy(BASE)
        for key, value in {**grid.get("set", {}), **values}.items():
            *parents, last = key.split(".")
            section = config
            for parent in parents:
                section = section[parent]
            if key != "base":
                section[last] = copy.deepcopy(value)
        configs.append(config)
    return configs


def same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=mutated_files(GRID))
def test_a_grid_is_expanded_as_it_is_or_refused_by_name(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "base.json").write_text(json.dumps(BASE))
        path = Path(folder) / "grid.json"
        path.write_bytes(data)
        runs, error = try_to(read_grid, path)
    if runs is None:
        assert error.key.startswith(folder)
        assert error.expected
        return
    grid = read_plainly(data)
    expected = expand(grid)
    found = [{key: value for key, value in run.config.items() if key != "_description"} for run in runs]
    assert found == [{key: value for key, value in config.items() if key != "_description"} for config in expected]
    assert len({run.name for run in runs}) == len(runs)
    assert all(run.options == tuple(grid.get("options", [])) for run in runs)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=mutated_files(BASE))
def test_a_base_is_taken_as_it_is_or_refused_by_name(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "base.json").write_bytes(data)
        path = Path(folder) / "grid.json"
        path.write_text(json.dumps({"base": "base.json", "axes": {"attack.kwargs.eps": [0.25]}}))
        runs, error = try_to(read_grid, path)
    if runs is None:
        assert error.key.startswith(folder)
        return
    (run,) = runs
    base = read_plainly(data)
    base["attack"]["kwargs"]["eps"] = 0.25
    strip = {"_description": None}
    assert {**run.config, **strip} == {**base, **strip}
