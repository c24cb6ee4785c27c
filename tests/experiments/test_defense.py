"""The defenses' benchmark in miniature: a tiny tracker, a drawn scene, attacks of one step."""

import json
import sys

import numpy as np
import pytest
from art.defences.preprocessor import JpegCompression
from doubles import cleaner, overlaps, screen_scene, tiny_estimator

from armory_skelevision.defenses import TemplateAdaptation
from armory_skelevision.weights.metadata import UNetMetadata
from armory_skelevision.weights.unet import save_unet

ATTACKS = ["patch", "pgd8", "rtaa8", "iou"]


def draw():
    from benchmarks.scene import Scene

    return Scene(*screen_scene(frames=3))


@pytest.fixture
def measure_cells(tmp_path):
    """The cells of the tiny tracker by (defense, column), with how to make each row's defenses."""
    from experiments.defense_table import Table, evaluate_model

    makers = {
        "none": list,
        "jpeg": lambda: [JpegCompression(clip_values=(0.0, 1.0), channels_first=False)],
        "dualossdef": lambda: [cleaner(tmp_path)],
        "both": lambda: [cleaner(tmp_path), TemplateAdaptation(max_iter=1, augment=1)],
    }

    def run(keep=None, weights="a", count=None, precision="float32", attacks=ATTACKS):
        table = Table(attacks, 1, 1, 5, "mini", 3, keep, precision)
        identity = {name: f"{name} {weights}" for name in makers}
        cells = evaluate_model(tiny_estimator, identity, makers, [draw()], table, lambda: None)
        found = [next(cells) for _ in range(count)] if count else list(cells)
        return {(cell["defense"], cell["column"]): cell for cell in found}

    return run


def test_cells_say_how_well_is_tracked_or_why_not(measure_cells):
    cells = measure_cells()
    scene = draw()
    boxes = tiny_estimator().predict(scene.x, y_init=scene.y[0]["boxes"][:1])[0]["boxes"]
    wanted = overlaps(boxes, scene.y[0]["boxes"])[1:].mean()
    assert cells["none", "clean"]["mean_iou"] == pytest.approx(wanted, abs=1e-6)
    assert [column for row, column in cells if row == "none"] == ["clean", *ATTACKS]
    assert [column for row, column in cells if row == "both"] == [
        "clean",
        *(f"{attack}{suffix}" for attack in ATTACKS for suffix in ("", " adaptive")),
    ]
    absent = {key for key, cell in cells.items() if cell["mean_iou"] is None}
    assert absent == {("jpeg", "rtaa8 adaptive"), ("jpeg", "iou adaptive")}
    for key, cell in cells.items():
        assert ("preprocessors of whole videos" in cell["note"]) == (key in absent)
    assert cells["dualossdef", "pgd8"]["mean_iou"] != cells["dualossdef", "pgd8 adaptive"]["mean_iou"]
    assert cells["dualossdef", "pgd8"]["mean_iou"] != cells["none", "pgd8"]["mean_iou"]


def test_finished_cells_are_kept(measure_cells, tmp_path, monkeypatch):
    from experiments import defense_table

    keep = tmp_path / "kept"
    measure_cells(keep, count=3)
    before = {path: path.read_bytes() for path in keep.iterdir()}
    assert len(before) == 3
    whole = measure_cells(keep)
    assert len(list(keep.iterdir())) == len(whole)
    assert {path: path.read_bytes() for path in before} == before

    def fail(*args):
        raise AssertionError("a finished cell is made anew")

    monkeypatch.setattr(defense_table, "_evaluate", fail)
    assert measure_cells(keep) == whole
    with pytest.raises(AssertionError, match="made anew"):
        measure_cells(keep, weights="b")


def test_attacks_in_bf16_are_evaluated_in_float32(measure_cells):
    full, half = (measure_cells(precision=precision, attacks=["pgd8"]) for precision in ("float32", "bf16"))
    assert full.keys() == half.keys()
    for key, cell in full.items():
        assert (half[key] == cell) if key[1] == "clean" else (half[key]["note"] == cell["note"])
    assert any(half[key] != full[key] for key in full)


def test_shares_that_were_won_back():
    from experiments.defense_table import summarize

    def cell(defense, column, *values):
        made = {"model": "stl", "defense": defense, "column": column, "note": ""}
        return [{**made, "video": number, "mean_iou": value} for number, value in enumerate(values)]

    cells = [
        *cell("none", "clean", 0.7, 0.9),
        *cell("none", "pgd8", 0.2, 0.2),
        *cell("none", "iou", 0.4, None),
        *cell("jpeg", "clean", 0.7, 0.7),
        *cell("jpeg", "pgd8", 0.6, 0.4),
        *cell("jpeg", "pgd8 adaptive", 0.1, 0.1),
        *cell("jpeg", "iou", 0.5, 0.5),
    ]
    bare, jpeg = summarize(cells)
    assert bare["mean_iou"] == pytest.approx({"clean": 0.8, "pgd8": 0.2, "iou": None})
    assert bare["won_back"] == pytest.approx({"pgd8": 0})
    assert jpeg["won_back"] == pytest.approx({"pgd8": 0.5})
    assert jpeg["mean_iou"]["pgd8 adaptive"] == pytest.approx(0.1)
    assert bare["clean_change"] == {"median": 0, "worse": 0}
    assert bare["worst_case"]["mean"] == pytest.approx(0.2) and jpeg["worst_case"]["mean"] == pytest.approx(0.1)
    assert jpeg["clean_change"] == pytest.approx({"median": -0.1, "worse": 1})


def test_the_worst_case_is_that_of_each_video():
    from experiments.defense_table import summarize

    ious = {"clean": [0.8, 0.8, 0.8], "pgd8": [0.1, 0.7, 0.6], "iou": [0.5, 0.3, None]}
    cells = [
        {"model": "stl", "defense": "none", "column": column, "note": "", "video": video, "mean_iou": value}
        for column, values in ious.items()
        for video, value in enumerate(values)
    ]
    (row,) = summarize(cells)
    worst = row["worst_case"]
    assert worst["mean"] == pytest.approx((0.1 + 0.3 + 0.6) / 3)
    assert 0.1 <= worst["low"] < worst["mean"] < worst["high"] <= 0.6
    refused = [{**cell, "defense": "jpeg", "mean_iou": None} for cell in cells]
    assert summarize([*cells, *refused])[1]["worst_case"] is None


def test_stronger_attacks_that_are_weaker_are_pointed_out():
    from experiments.defense_table import find_masking

    ious = {"clean": 0.8, "pgd4": 0.5, "pgd8": 0.55, "pgd16": 0.3, "rtaa8": 0.2, "pgd8 adaptive": 0.6, "iou": None}
    lines = find_masking([{"model": "stl", "defense": "jpeg", "mean_iou": ious}])
    assert [line.partition("? ")[2] for line in lines] == [
        "pgd8 adaptive leaves 0.600, pgd8 0.550",
        "pgd8 leaves 0.550, pgd4 0.500",
    ]
    assert (
        find_masking([{"model": "stl", "defense": "none", "mean_iou": {**ious, "pgd8": 0.51, "pgd8 adaptive": 0.4}}])
        == []
    )


def test_restarts_and_steps_go_to_the_attacks_that_have_them():
    from experiments.defense_table import BOUNDS, Table

    table = Table(list(BOUNDS), 50, 3, None, "mini", None, None, "float32")
    assert {name for name in BOUNDS if table.settings(name).get("restarts") == 3} == {
        *("patch", "pgd4", "pgd8", "pgd16", "pgd64"),
    }
    assert table.settings("autopatch")["budget"] == table.settings("pgd8")["max_iter"] == 50
    assert "max_iter" not in table.settings("autopatch") | table.settings("iou")


@pytest.fixture
def run(monkeypatch, capsys):
    """The command around the tiny tracker: its lines, and its JSON."""
    from experiments import defense

    monkeypatch.setattr(defense, "load_tracker", lambda name, device: tiny_estimator())
    monkeypatch.setattr(defense, "walkers", lambda split, videos, frames: iter([draw()]))

    def run_command(*options):
        monkeypatch.setattr(sys, "argv", ["defense.py", "--json", "--device", "cpu", *map(str, options)])
        defense.main()
        *lines, last = capsys.readouterr().out.splitlines()
        return lines, json.loads(last)

    return run_command


def test_quick_measures_costs_alone(run):
    lines, result = run("--quick")
    assert list(result) == ["overhead", "costs"]
    costs = result["costs"]
    assert [line.split()[0] for line in lines[1:]] == list(costs) == ["dualossdef", "jpeg", "templateadaptation"]
    for cost in costs.values():
        assert cost["overhead"] > 0
        assert cost["overhead"] == pytest.approx(cost["defense_ms"] / cost["tracker_ms"])
    assert result["overhead"] == costs["dualossdef"]["overhead"]


def test_the_whole_command(run, tmp_path):
    few = ("--models", "stl", "nanotrack", "--attacks", "pgd8", "--steps", "1", "--defenses", "dualossdef")
    defense = cleaner(tmp_path)
    told = {"settings": "{}", "training": "", "validation": "", "tracker": "", "tracker_sha256": "", "licence": "MIT"}
    metadata = UNetMetadata(width="small", seed=0, **told)
    save_unet(defense.network, tmp_path / "mine.safetensors", metadata)
    lines, result = run(*few, "--weights", tmp_path / "mine.safetensors", "--keep", tmp_path / "kept")
    assert [(row["model"], row["defense"]) for row in result["rows"]] == [("stl", "none"), ("stl", "dualossdef")]
    assert list(result["rows"][1]["mean_iou"]) == ["clean", "pgd8", "pgd8 adaptive"]
    assert result["absent"] == ["nanotrack: not available: name its weights by --nanotrack"]
    assert np.isfinite([cell["mean_iou"] for cell in result["cells"]]).all()
    assert any(line.startswith("stl    dualossdef  ") and line.count("/") == 1 for line in lines)
    assert lines[4].split()[-9:] == ["pgd8", "worst", "case", "clean:", "median", "change", "worse", "by", "0.05"]


def test_weights_that_are_none_are_refused(run, tmp_path, capsys):
    cleaner(tmp_path)
    for name, message in (("absent", "no file"), ("random", "expected weights with a U-Net's metadata")):
        with pytest.raises(SystemExit):
            run("--weights", tmp_path / f"{name}.safetensors")
        assert message in capsys.readouterr().err


def test_trackers_of_one_name_are_refused(run, tmp_path, capsys):
    files = [tmp_path / folder / "run" / "weights.safetensors" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    with pytest.raises(SystemExit):
        run("--trackers", *files)
    assert "--trackers: expected files of different names" in capsys.readouterr().err


def test_a_defense_that_does_not_fit_has_no_worst_case(run, monkeypatch):
    from experiments import defense_table

    def score(estimator, x, scene):
        if estimator.preprocessing_operations:
            raise defense_table.CellError("no fit")
        return {"mean_iou": 0.5, "note": ""}

    monkeypatch.setattr(defense_table, "_score", score)
    lines, result = run("--models", "stl", "--attacks", "--defenses", "templateadaptation")
    assert [row["worst_case"] and row["worst_case"]["mean"] for row in result["rows"]] == [0.5, None]
    assert any(line.startswith("stl    templateadaptation  –      –") for line in lines)
