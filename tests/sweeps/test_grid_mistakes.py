"""Grids that say two things at once, or too much: refused before a run is made."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.sweeps import grid as grids
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.validation import InvalidValueError, StructuredError

EPS, SEED, KWARGS = "attack.kwargs.eps", "attack.kwargs.seed", "attack.kwargs"


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(format_config(build_config("walkers", "mtl", "pgd")))


def refused(tmp_path: Path, **grid: Any) -> StructuredError:
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"base": "base.json", "axes": {}, **grid}))
    with pytest.raises(InvalidValueError) as caught:
        read_grid(path)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        '{"base": "base.json", "axes": {"attack.kwargs.eps": [0.1]}, "axes": {}}',
        '{"base": "base.json", "axes": {"attack.kwargs.eps": [0.1, 0.2], "attack.kwargs.eps": [0.1]}}',
        '{"base": "base.json", "axes": {"model": {"MTL": {}, "MTL": {"model.name": "siamrpn_stl"}}}}',
        '{"base": "base.json", "axes": {"attack.kwargs.eps": [NaN]}}',
        '{"base": "base.json", "axes": {"attack.kwargs.eps": [1e999]}}',
        '{"base": "base.json", "axes": {"attack.kwargs.seed": [99999999999999999999999]}}',
        '{"base": "base.json", "axes": {}} {}',
        '{"base": "base.json", "axes": {"attack.kwargs.eps": [0.1],}}',
        '{"base": "base.json", "axes": {"model": {"\\ud800": {}}}}',
    ],
)
def test_json_is_read_strictly(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        read_grid(path)
    assert (caught.value.key, caught.value.expected) == (str(path), "JSON")


def test_a_base_is_read_strictly_too(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text('{"model": {}, "model": {}}')
    assert refused(tmp_path).key == str(tmp_path / "base.json")
    deep = json.loads("[" * 60 + "]" * 60)
    (tmp_path / "base.json").write_text(json.dumps({"model": deep}))
    assert refused(tmp_path).key == str(tmp_path / "base.json")
    assert refused(tmp_path, axes={"x": {"a": {"model": deep}}}).key == str(tmp_path / "grid.json")


@pytest.mark.parametrize(
    ("grid", "key"),
    [
        # one key on two axes, or on an axis and in "set", in any form
        ({"axes": {EPS: [0.1], "x": {"a": {EPS: 0.2}, "b": {}}}}, "axes.x"),
        ({"axes": {"x": {"a": {EPS: 0.2}}, "y": {"b": {EPS: 0.3}, "c": {SEED: 1}}}}, "axes.y"),
        ({"set": {EPS: 0.3}, "axes": {EPS: [0.1, 0.2]}}, f"axes.{EPS}"),
        ({"set": {EPS: 0.3}, "axes": {"x": {"a": {EPS: 0.3}}}}, "axes.x"),
        # an object that replaces what was set within it, or sets what is set again
        ({"set": {EPS: 0.3}, "axes": {"x": {"a": {KWARGS: {"eps": 0.2}}}}}, "axes.x"),
        ({"set": {EPS: 0.3}, "axes": {"x": {"a": {KWARGS: {}}}}}, "axes.x"),
        ({"set": {EPS: 0.3}, "axes": {"attack": [None]}}, "axes.attack"),
        ({"set": {KWARGS: {"eps": 0.2}}, "axes": {EPS: [0.1]}}, f"axes.{EPS}"),
        ({"axes": {"x": {"a": {KWARGS: {"eps": 0.2}}}, EPS: [0.1]}}, f"axes.{EPS}"),
        ({"axes": {"x": {"a": {"attack": {"kwargs": {"eps": 0.2}}}}, EPS: [0.1]}}, f"axes.{EPS}"),
        # within one object
        ({"set": {EPS: 0.3, KWARGS: {}}}, "set"),
        ({"set": {KWARGS: {"eps": 0.1}, EPS: 0.3}}, "set"),
        ({"axes": {"x": {"a": {EPS: 0.3, "attack": {}}}}}, "axes.x"),
        # two bases
        ({"set": {"base": "base.json"}}, "set"),
        ({"axes": {"base": ["base.json"]}}, "axes.base"),
        # keys with empty parts
        ({"axes": {"attack..eps": [1]}}, "axes.attack..eps"),
        ({"axes": {"": [1]}}, "axes."),
        ({"axes": {".eps": [1]}}, "axes..eps"),
        ({"axes": {"attack.": [1]}}, "axes.attack."),
        ({"axes": {"x": {"a": {"": 1}}}}, "axes.x"),
        ({"set": {"attack..eps": 1}}, "set"),
        # a value twice
        ({"axes": {EPS: [0.1, 0.2, 0.1]}}, f"axes.{EPS}"),
        ({"axes": {SEED: [1, 1.0]}}, f"axes.{SEED}"),
        ({"axes": {KWARGS: [{"a": [1]}, {"a": [1.0]}]}}, f"axes.{KWARGS}"),
        ({"axes": {KWARGS: [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}}, f"axes.{KWARGS}"),
        ({"axes": {"x": {"a": {EPS: 0.1}, "b": {EPS: 0.1}}}}, "axes"),
        # nothing left
        ({"axes": {EPS: [0.1, 0.2]}, "exclude": [{EPS: 0.1}, {EPS: 0.2}]}, "axes"),
        ({"axes": {EPS: [0.1, 0.2]}, "exclude": [{}]}, "exclude"),
        ({"axes": {SEED: [1]}, "exclude": [{SEED: True}]}, "exclude"),
        # numbers of a paper that belong to no run
        ({"published": {"cells": 5}}, "published.cells"),
        ({"published": {"cell": []}}, "published.cell"),
        ({"published": {"cells": [{"benign": 5}]}}, "published.cells.0.where"),
        ({"published": {"cells": [{"where": {}, "bening": 5}]}}, "published.cells.0.bening"),
        ({"published": {"cells": [{"where": {"modle": "STL"}}]}}, "published.cells.0.where.modle"),
        ({"published": {"cells": [{"where": {}, "benign": 101}]}}, "published.cells.0.benign"),
        ({"published": {"cells": [{"where": {}, "benign": "5"}]}}, "published.cells.0.benign"),
        ({"published": {"cells": [{"where": {}, "adversarial": {"5": -1}}]}}, "published.cells.0.adversarial"),
    ],
    ids=str,
)
def test_what_has_two_meanings_or_none_is_refused(tmp_path: Path, grid: dict[str, Any], key: str) -> None:
    assert refused(tmp_path, **grid).key == f"{tmp_path / 'grid.json'}: {key}"


def test_a_later_axis_may_add_to_an_earlier_one(tmp_path: Path) -> None:
    axes = {"x": {"a": {KWARGS: {"max_iter": 1}}, "b": {KWARGS: {"max_iter": 2, "eps_step": 0.5}}}, EPS: [0.1, 0.2]}
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"base": "base.json", "axes": axes}))
    assert [run.config["attack"]["kwargs"] for run in read_grid(path)] == [
        {"max_iter": 1, "eps": 0.1},
        {"max_iter": 1, "eps": 0.2},
        {"max_iter": 2, "eps_step": 0.5, "eps": 0.1},
        {"max_iter": 2, "eps_step": 0.5, "eps": 0.2},
    ]


def test_runs_share_no_part_of_their_configs(tmp_path: Path) -> None:
    attack = json.loads((tmp_path / "base.json").read_text())["attack"]
    path = tmp_path / "grid.json"
    axes = {"x": {"a": {"attack": {**attack, "kwargs": {"max_iter": 1}}}}, EPS: [0.1, 0.2]}
    path.write_text(json.dumps({"base": "base.json", "axes": axes}))
    assert [run.config["attack"]["kwargs"]["eps"] for run in read_grid(path)] == [0.1, 0.2]


def test_lists_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "grid.json"
    values = [[1, 2], [1, 3], [1]]
    path.write_text(json.dumps({"base": "base.json", "axes": {"attack.kwargs.checkpoints": values}}))
    assert [run.config["attack"]["kwargs"]["checkpoints"] for run in read_grid(path)] == values


def test_a_base_needs_no_description(tmp_path: Path) -> None:
    content = json.loads((tmp_path / "base.json").read_text())
    del content["_description"]
    (tmp_path / "base.json").write_text(json.dumps(content))
    (tmp_path / "grid.json").write_text(json.dumps({"base": "base.json", "axes": {EPS: [0.1]}}))
    (run,) = read_grid(tmp_path / "grid.json")
    assert run.config["_description"] == "; attack.kwargs.eps: 0.1"


def test_exclusions_tell_numbers_from_truth(tmp_path: Path) -> None:
    path = tmp_path / "grid.json"
    axes = {"attack.kwargs.verbose": [True, False], SEED: [1, 0]}
    exclude = [{"attack.kwargs.verbose": True, SEED: 1.0}]
    path.write_text(json.dumps({"base": "base.json", "axes": axes, "exclude": exclude}))
    assert [run.name for run in read_grid(path)] == ["true-0", "false-1", "false-0"]


def test_the_number_of_runs_is_bounded_before_any_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    values = list(range(100))
    found = refused(tmp_path, axes={f"attack.kwargs.{name}": values for name in ("a", "b", "c", "d")})
    assert (found.key, found.got) == (f"{tmp_path / 'grid.json'}: axes", str(100**4))
    assert refused(tmp_path, axes={SEED: list(range(grids.MAX_RUNS + 1))}).key == found.key
    assert time.monotonic() - began < 2
    monkeypatch.setattr(grids, "MAX_RUNS", 2)
    (tmp_path / "grid.json").write_text(json.dumps({"base": "base.json", "axes": {SEED: [1, 2]}}))
    assert len(read_grid(tmp_path / "grid.json")) == 2


def test_the_size_of_a_grid_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (tmp_path / "base.json").stat().st_size
    monkeypatch.setattr(grids, "MAX_BYTES", size - 1)
    for path, title in ((tmp_path / "grid.json", "x" * size), (tmp_path / "base.json", "")):
        error = refused(tmp_path, title=title)
        assert (error.key, error.expected) == (str(path), f"at most {size - 1} bytes")


def test_any_label_names_a_folder(tmp_path: Path) -> None:
    labels = ["runs.json", "grid.json", "..", ".", "/", "a/b", "\0", "", "é", "x" * 500, "-", "a\nb", "\u202e"]
    axes = {"x": {label: {SEED: number} for number, label in enumerate(labels)}}
    axes |= {f"y{number}": {"z" * 40: {f"attack.kwargs.k{number}": 1}} for number in range(9)}
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"base": "base.json", "axes": axes}))
    names = [run.name for run in read_grid(path)]
    path.write_text(json.dumps({"base": "base.json", "axes": {"x": axes["x"]}}))
    names += [run.name for run in read_grid(path)]
    for name in names:
        assert len(name) <= 255
        assert name not in ("runs.json", "grid.json", "", ".", "..")
        assert "/" not in name
        assert name.isprintable()
    assert len(set(names)) == len(names) == 2 * len(labels)
    path.write_text(json.dumps({"base": "base.json", "axes": {"x": {"é": {SEED: 1}}}}))
    assert [run.name for run in read_grid(path)] == ["x"]


@pytest.mark.parametrize(
    "options",
    [
        ["--num-eval-batch=1"],  # argparse takes it, reports do not know it
        ["--num-eval-batches=0"],  # all of them, to ARMORY
        ["--num-eval-batches 1"],
        ["--output-dir=elsewhere"],
        ["--interactive"],
        ["--help"],
        ["--check", "--check"],
        ["--num-eval-batches=1", "--num-eval-batches=2"],
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, options: list[str]) -> None:
    assert refused(tmp_path, options=options).key == f"{tmp_path / 'grid.json'}: options"


@pytest.mark.parametrize(
    ("cells", "key"),
    [
        ([{"where": {SEED: 3}, "benign": 50}], f"published.cells.0.where.{SEED}"),
        ([{"where": {SEED: True}, "benign": 50}], f"published.cells.0.where.{SEED}"),
        ([{"where": {SEED: 1}, "adversarial": {"ten": 50}}], "published.cells.0.adversarial"),
        ([{"where": {SEED: 1}, "benign": 50}, {"where": {SEED: 1.0}, "benign": 60}], "published.cells"),
    ],
)
def test_published_numbers_that_no_run_would_show_are_refused(tmp_path: Path, cells: list[Any], key: str) -> None:
    error = refused(tmp_path, axes={SEED: [1, 2]}, published={"cells": cells})
    assert error.key == f"{tmp_path / 'grid.json'}: {key}"


def test_runs_have_folders_of_their_own_where_letters_have_no_case(tmp_path: Path) -> None:
    choices = {"A": {SEED: 1}, "a": {SEED: 2}, "GRID.json": {SEED: 3}}
    (tmp_path / "grid.json").write_text(json.dumps({"base": "base.json", "axes": {"x": choices}}))
    names = [run.name.casefold() for run in read_grid(tmp_path / "grid.json")]
    assert len({*names, "grid.json"}) == 4
