"""Sweeps that were stopped, and published numbers beside theirs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from handmade_results import make_config, make_frames, make_results, write_plan, write_run

from armory_skelevision.io import hash_file
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.overview import miou_table
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.summary import summarize

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
    """A sweep that was stopped after one run of each model; a third run failed, a fourth was not begun."""
    places = {"first": ("stl", "STL", 0.1), "second": ("mtl", "MTL 0.2", 0.1), "third": ("stl", "STL", 0.2),
              "fourth": ("mtl", "MTL 0.2", 0.2)}  # fmt: skip
    planned = []
    for name, (model, label, delta) in places.items():
        config = make_config(model, attack__kwargs__step_size=delta, attack__kwargs__checkpoints=[5])
        labels = {"model": label, "attack.kwargs.step_size": delta}
        planned.append({"name": name, "config": config, "labels": labels})
        if delta == 0.1:
            results = make_results((0.7,), (0.4,), adversarial_checkpoints=[{"5": 0.5}])
            write_run(folder / name, config, results, labels=labels)
        elif model == "stl":
            write_run(folder / name, config, None, "failed", labels=labels)
    return write_plan(folder, grid or GRID, planned)


def test_runs_that_were_not_begun_are_missing(tmp_path: Path) -> None:
    runs = {run.name: run for run in load_runs([write_stopped(tmp_path / "sweep")]).runs}
    assert [(name, run.state) for name, run in runs.items()] == [
        ("first", "finished"),
        ("second", "finished"),
        ("third", "failed"),
        ("fourth", "missing"),
    ]
    assert runs["fourth"].labels == {"model": "MTL 0.2", "attack.kwargs.step_size": 0.2}
    table = miou_table(summarize(list(runs.values())))
    assert table.columns == ["δ", "steps", "STL", "MTL 0.2"]
    shown = {(row[0].number, row[1].number): [cell.number for cell in row[2:]] for row in table.rows}
    assert shown["0.2", "10"] == ["failed", "missing"]
    assert shown["0.2", "5"] == ["failed", "missing"]
    assert shown["0.1", "5"] == ["50.0", "50.0"]


def test_runs_of_an_earlier_plan_are_read(tmp_path: Path) -> None:
    sweep = write_stopped(tmp_path / "sweep")
    write_run(sweep / "earlier", make_config(attack__kwargs__step_size=0.3), make_results((0.7,), (0.2,)))
    assert [run.name for run in load_runs([sweep]).runs] == ["first", "second", "third", "fourth", "earlier"]


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    sweep = write_stopped(tmp_path / "sweep")
    (sweep / "runs.json").write_text("{")
    loaded = load_runs([sweep])
    assert [problem.key for problem in loaded.problems] == [str(sweep / "runs.json")]
    assert sorted(run.name for run in loaded.runs) == ["first", "second", "third"]


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
    assert summarize(load_runs([sweep]).runs).inconsistent == ()
    config = make_config("stl", attack__kwargs__max_iter=3, attack__kwargs__step_size=0.1)
    labels = {"model": "STL", "attack.kwargs.step_size": 0.1}
    write_run(sweep / "x", config, make_results((0.6,), (0.1,)), labels=labels)
    (line,) = summarize(load_runs([sweep]).runs).inconsistent
    assert "STL on walkers mini: the benign mean IoU is 60.0 in one run and 70.0 in another" in line


def test_a_sweep_without_attack_has_none_in_its_tables(tmp_path: Path) -> None:
    sweep, out = tmp_path / "sweep", tmp_path / "out"
    # As ARMORY writes the options into the result.
    options = {"check_run": False, "num_eval_batches": 2, "skip_attack": True, "skip_benign": False}
    planned = []
    for model, split in (("stl", "mini"), ("mtl", "mini"), ("stl", "dev"), ("mtl", "dev")):
        name, labels = f"{model}-{split}", {"model": model.upper(), "dataset.eval_split": split}
        given = ["--skip-attack", "--num-eval-batches=2"]
        config = make_config(model, dataset__eval_split=split)
        planned.append({"name": name, "config": config, "labels": labels, "options": given})
        if name != "mtl-dev":
            results = make_results((0.7, 0.9), **make_frames((1.0, 0.7), (1.0, 0.9)))
            config = make_config(model, dataset__eval_split=split, scenario__kwargs=options)
            write_run(sweep / name, config, results, labels=labels)
    write_plan(sweep, runs=planned)
    page = write_report([sweep], out).page.read_text()
    assert (out / "miou.csv").read_text().splitlines() == [
        "data set,STL,STL n,MTL,MTL n",
        "walkers dev benign,80,1,missing,",
        "walkers mini benign,80,1,80,1",
    ]
    assert "attacked" not in "".join(path.read_text() for path in out.glob("*.csv"))
    assert not any(text in page for text in ("attacked dashed", "frames under attack", "attack's steps"))
    assert "video 1" in page


def test_a_result_of_another_run_is_not_reported_as_this_one(tmp_path: Path) -> None:
    write_plan(tmp_path)
    for seed in (0, 1):
        config = make_config(attack__kwargs__seed=seed)
        folder = write_run(tmp_path / str(seed), config, make_results((0.5,), (0.1 * seed,)))
        record = json.loads((folder / "run.json").read_text())
        record["result"] = hash_file(folder / "result.json")
        (folder / "run.json").write_text(json.dumps(record))
    assert [run.state for run in load_runs([tmp_path]).runs] == ["finished"] * 2
    shutil.copy(tmp_path / "1/result.json", tmp_path / "0/result.json")
    loaded = load_runs([tmp_path])
    assert [run.state for run in loaded.runs] == ["failed", "finished"]
    assert [problem.key for problem in loaded.problems] == [str(tmp_path / "0/result.json")]


@pytest.mark.parametrize("record", [{"weights": {"w.safetensors": "cd" * 32}}, {"versions": {"torch": "2.12.0"}}])
def test_a_mean_over_runs_of_other_weights_or_versions_is_marked(tmp_path: Path, record: dict[str, Any]) -> None:
    write_plan(tmp_path)
    given = {"weights": {"w.safetensors": "ab" * 32}, "versions": {"torch": "2.13.0"}}
    for seed in (0, 1):
        results = make_results((0.5,), (0.1 + 0.1 * seed,))
        more = given if seed else {**given, **record}
        write_run(tmp_path / str(seed), make_config(attack__kwargs__seed=seed), results, **more)
    (line,) = summarize(load_runs([tmp_path]).runs).inconsistent
    (name,) = next(iter(record.values()))
    assert line.endswith(name)
