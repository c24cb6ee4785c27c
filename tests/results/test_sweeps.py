"""Sweeps that were stopped, and numbers to set beside theirs."""

import json
from pathlib import Path
from typing import Any

import pytest
from handmade_results import make_config, make_results, write_cell

from armory_skelevision.results.finding import collect
from armory_skelevision.results.groups import make_board
from armory_skelevision.results.report.overview import miou_table
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.writing import write_report

GRID: dict[str, Any] = {
    "title": "stopped",
    "base": "../scenario_configs/walkers_mtl_patch.json",
    "axes": {
        "model": {
            "STL": {"model.name": "siamrpn_stl", "model.weights_file": "siamrpn_alex_stl.safetensors"},
            "MTL 0.2": {},
        },
        "attack.kwargs.step_size": [0.1, 0.2],
    },
    "exclude": [{"model": "MTL 0.2", "attack.kwargs.step_size": 0.2, "attack.kwargs.seed": 7}],
    "published": {
        "source": "a paper",
        "cells": [
            {
                "where": {"model": "MTL 0.2", "attack.kwargs.step_size": 0.1},
                "benign": 69.59,
                "adversarial": {"5": 51.88, "10": 41.44},
            }
        ],
    },
}


def write_stopped(folder: Path, grid: dict[str, Any] | None = None) -> Path:
    """A sweep that got as far as a cell of each model and each δ; one of them was just being run."""
    folder.mkdir()
    (folder / "grid.json").write_text(json.dumps(grid or GRID))
    places = {"first": ("stl", "STL", 0.1), "second": ("mtl", "MTL 0.2", 0.1)}
    for name, (model, label, delta) in places.items():
        config = make_config(model, attack__kwargs__step_size=delta, attack__kwargs__checkpoints=[5])
        results = make_results((0.7,), (0.4,), adversarial_checkpoints=[{"5": 0.5}])
        write_cell(folder / name, config, results, labels={"model": label, "attack.kwargs.step_size": delta})
    config = make_config("stl", attack__kwargs__step_size=0.2, attack__kwargs__checkpoints=[5])
    record = {"labels": {"model": "STL", "attack.kwargs.step_size": 0.2}}
    write_cell(folder / "third", config, None, "failed", **record)
    return folder


def test_cells_that_were_not_begun_are_missing(tmp_path: Path) -> None:
    cells = {cell.name: cell for cell in collect([write_stopped(tmp_path / "sweep")]).cells}
    assert list(cells) == ["first", "second", "third", "MTL_0.2-0.2"]
    missing = cells["MTL_0.2-0.2"]
    assert missing.state == "missing"
    # put together from the cells there are: the model of the second, δ of the third
    assert missing.config["model"]["name"] == "siamrpn_mtl"
    assert missing.config["model"]["weights_file"] == "siamrpn_alex_mtl.safetensors"
    assert missing.config["attack"]["kwargs"]["step_size"] == 0.2
    table = miou_table(make_board(list(cells.values())), Published())
    assert table.columns == ("δ", "steps", "STL", "MTL 0.2")
    shown = {(row[0].number, row[1].number): [entry.number for entry in row[2:]] for row in table.rows}
    assert shown["0.2", "10"] == ["failed", "missing"]
    assert shown["0.2", "5"] == ["failed", "missing"]
    assert shown["0.1", "5"] == ["50.0", "50.0"]


def test_a_cell_without_record_finds_its_place(tmp_path: Path) -> None:
    sweep = write_stopped(tmp_path / "sweep")
    config = make_config("mtl", attack__kwargs__step_size=0.2, attack__kwargs__checkpoints=[5])
    write_cell(sweep / "fourth", config, None, "missing")
    cells = {cell.name: cell for cell in collect([sweep]).cells}
    assert list(cells) == ["first", "fourth", "second", "third"]
    assert cells["fourth"].labels == {"model": "MTL 0.2", "attack.kwargs.step_size": 0.2}


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": {"model": GRID["axes"]["model"], "attack.kwargs.step_size": [0.1, 0.3]}},  # no cell tells δ 0.3
        {"axes": {"base": ["a.json", "b.json"]}},
    ],
)
def test_what_cannot_be_known_is_missing_without_a_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    sweep = write_stopped(tmp_path / "sweep", {**GRID, **changes})
    missing = [cell for cell in collect([sweep]).cells if cell.state == "missing"]
    assert len(missing) == 2
    assert all(cell.config == {} for cell in missing)
    assert all(cell.name in write_report([sweep], tmp_path / "out").page.read_text() for cell in missing)


def test_excluded_cells_are_not_missed(tmp_path: Path) -> None:
    grid = {**GRID, "exclude": [{"model": "MTL 0.2", "attack.kwargs.step_size": 0.2}]}
    assert len(collect([write_stopped(tmp_path / "a", grid)]).cells) == 3
    grid = {**GRID, "exclude": [{"model.name": "siamrpn_stl"}]}
    assert [cell.name for cell in collect([write_stopped(tmp_path / "b", grid)]).cells][3:] == ["MTL_0.2-0.2"]


def test_published_numbers_stand_beside_ours(tmp_path: Path) -> None:
    sweep = write_stopped(tmp_path / "sweep")
    written = write_report([sweep], tmp_path / "out")
    assert "published, a paper" in written.page.read_text()
    lines = (tmp_path / "out" / "miou.csv").read_text().splitlines()
    assert lines[0].split(",")[-1] == "MTL 0.2 published"
    assert [line.split(",")[-1] for line in lines if line.startswith(("benign", "0.1"))] == ["69.59", "51.88", "41.44"]
    assert "[69.6]" in (tmp_path / "out" / "miou.md").read_text()
    other = write_stopped(tmp_path / "other", {**GRID, "published": {"cells": [7, {"where": {"model": "STL"}}]}})
    assert "published" not in (write_report([other], tmp_path / "out").page.parent / "miou.csv").read_text()


def test_runs_that_should_agree_without_attack(tmp_path: Path) -> None:
    sweep = write_stopped(tmp_path / "sweep")
    assert make_board(collect([sweep]).cells).strange == ()
    config = make_config("stl", attack__kwargs__max_iter=3, attack__kwargs__step_size=0.1)
    labels = {"model": "STL", "attack.kwargs.step_size": 0.1}
    write_cell(sweep / "x", config, make_results((0.6,), (0.1,)), labels=labels)
    (line,) = make_board(collect([sweep]).cells).strange
    assert "STL on walkers mini: the benign mIoU is 60.0 in one run and 70.0 in another" in line


def test_a_sweep_without_attack_has_none_in_its_tables(tmp_path: Path) -> None:
    sweep, out = tmp_path / "sweep", tmp_path / "out"
    sweep.mkdir()
    splits = ["mini", "dev"]
    models = {"STL": {"model.name": "siamrpn_stl"}, "MTL": {}}
    axes = {"model": models, "dataset.eval_split": splits}
    (sweep / "grid.json").write_text(json.dumps({"axes": axes, "options": ["--skip-attack", "--num-eval-batches=2"]}))
    # As ARMORY writes the options into the result.
    options = {"check_run": False, "num_eval_batches": 2, "skip_attack": True, "skip_benign": False}
    for model, split in (("stl", "mini"), ("mtl", "mini"), ("stl", "dev")):
        config = make_config(model, dataset__eval_split=split, scenario__kwargs=options)
        results = make_results((0.7, 0.9), benign_frame_iou=[[[1.0, 0.7]], [[1.0, 0.9]]])
        labels = {"model": model.upper(), "dataset.eval_split": split}
        write_cell(sweep / f"{model}-{split}", config, results, labels=labels)
    write_cell(sweep / "MTL-dev", make_config("mtl", dataset__eval_split="dev"), None, "missing")  # just being run
    page = write_report([sweep], out).page.read_text()
    assert (out / "miou.csv").read_text().splitlines() == [
        "data set,STL,STL n,MTL,MTL n",
        "walkers dev benign,80,1,missing,",
        "walkers mini benign,80,1,80,1",
    ]
    assert "attacked" not in "".join(path.read_text() for path in out.glob("*.csv"))
    assert "attack's steps" not in page
    assert "Video 1" in page
