"""The experiments run on little and print what they promise."""

import math
import shutil

import numpy as np
import pytest
import torch
from people_data import make_coco
from sequence_data import lines, write_image
from tiny_training import make_crop_store

from armory_skelevision.io.images import read_image
from armory_skelevision.tracking import Window
from armory_skelevision.weights.packaged import packaged_weights


def test_strength_without_torchvision(script, tmp_path):
    short = ("--split", "mini", "--videos", "1", "--steps", "1", "--frames", "3")
    _, result = script("experiments.strength", *short, "--torchvision", str(tmp_path))
    (row,) = result["rows"]
    assert row["armory"] is None and result["best_of_3_higher"] is None
    assert row["best of 3"] >= row["sign"] - 1e-3
    assert row["sign"] != row["clean"]


def test_eot_evaluates_both_patches(script):
    _, result = script("experiments.eot", "--videos", "1", "--steps", "1", "--draws", "1", "--frames", "3")
    assert [mean["patch"] for mean in result["means"]] == ["plain", "eot"]
    plain, eot = result["rows"]
    assert plain["benign"] == eot["benign"] > 0.5
    assert plain["effect"] != plain["effect_transformed"]


def test_proportions_of_wide_boxes_are_seen(script, tmp_path, monkeypatch):
    store, weights = make_crop_store(tmp_path / "store"), packaged_weights("siamrpn_alex_stl.safetensors")
    _, result = script("experiments.proportions", store, weights, "--pairs", "10", "--side", "319")
    assert result["rows"][0]["pairs"] > 1 and 0 <= result["rows"][0]["mean IoU"] <= 1
    pairs = [(torch.zeros(3, 127, 127), torch.zeros(3, 223, 223), torch.tensor([60.0, 50, 100, 130]))] * 3
    wide = torch.tensor([[50.0, 50, 110, 130]]).repeat(3, 1)
    from experiments import proportions

    monkeypatch.setattr(proportions, "best_boxes", lambda output, base_size: wide)
    found = proportions.measure(lambda templates, searches: None, pairs)
    assert found["mean"] == found["absolute"] == pytest.approx(math.log(1.5))
    assert found["mean IoU"] == pytest.approx(2 / 3)


def test_attention_is_split_at_the_true_box(script):
    from experiments.attention import cover

    inside = cover(torch.tensor([110.0, 220, 130, 260]), Window(100, 200, 80), 40)  # the crop has half of the pixels
    assert inside.shape == (40, 40) and inside[10:30, 5:15].all() and inside.sum() == 20 * 10
    few = ("--split", "mini", "--videos", "1", "--every", "40")
    _, result = script("experiments.attention", *few)
    (stl,), (mtl,) = result["videos"]["siamrpn_stl"], result["videos"]["siamrpn_mtl"]
    assert 0.02 < stl["share_of_area"] == mtl["share_of_area"] < 0.1
    assert 0.2 < stl["share_inside"] != mtl["share_inside"] and stl["sensitivity_outside"] > 1
    share, _ = result["differences"]
    assert share["mean"] == pytest.approx(mtl["share_inside"] - stl["share_inside"]) and share["n"] == 1


def test_steps_go_on_where_they_were_stopped(script, tmp_path):
    few = ("--split", "mini", "--videos", "1", "--frames", "3", "--models", "mtl", "--step-sizes", "0.1")
    _, straight = script("experiments.steps", *few, "--steps", "0", "1", "2")
    (row,) = straight["rows"]
    assert list(row) == ["model", "step size", "benign", "0", "1", "2"]
    assert row["0"] != row["1"] and all(0 <= row[key] <= 1 for key in ("benign", "0", "1", "2"))
    script("experiments.steps", *few, "--steps", "0", "1", "--keep", tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.read_bytes()
    assert script("experiments.steps", *few, "--steps", "0", "1", "2", "--keep", tmp_path)[1]["rows"] == [row]
    assert kept.read_bytes() != before


def test_attacks_under_one_budget_go_on_where_they_were_stopped(script, tmp_path):
    few = ("--videos", "0", "--frames", "3", "--budget", "3", "--models", "stl", "--table", tmp_path / "rows.csv")
    names = ("grey", "flytrap", "auto", "expected_l1+l1:random", "without:expected_l1+l1:random")
    _, result = script("experiments.auto_patch", *few, "--shown-to", "mtl", "--attacks", *names)
    rows = {row["attack"]: row for row in result["rows"]}
    assert set(rows) == set(names) and len({row["benign"] for row in rows.values()}) == 1
    assert 0.5 < rows["auto"]["left"] < rows["grey"]["left"] and rows["grey"]["reach"] == 1
    assert 0.5 < rows["auto"]["on mtl"] != rows["auto"]["left"]
    _, again = script("experiments.auto_patch", *few, "--attacks", "auto")
    assert again["rows"] == [rows["auto"]]
    (mean,) = again["means"]
    assert mean["left in reach"] == rows["auto"]["left"]


def test_robustness_compares_runs_of_the_same_seeds(script, tmp_path):
    files = {"stl-1": "stl", "stl-2": "mtl", "mtl-1": "mtl", "mtl-2": "stl", "lone-9": "stl"}
    for folder, model in files.items():
        (tmp_path / folder).mkdir()
        shutil.copy(packaged_weights(f"siamrpn_alex_{model}.safetensors"), tmp_path / folder / "weights.safetensors")
    paths = [tmp_path / folder / "weights.safetensors" for folder in files]
    few = ("--split", "mini", "--videos", "1", "--frames", "3", "--steps", "0", "1", "--keep", tmp_path / "kept")
    table, result = script("experiments.robustness", *paths, *few)
    stl, mtl = result["runs"]["stl"], result["runs"]["mtl"]
    assert stl["1"] == mtl["2"] != stl["2"] == mtl["1"]
    assert list(stl["1"]) == ["benign", "0", "1"]
    mean, half_width, count = result["differences"]["mtl"]["1"]
    assert mean == pytest.approx(0, abs=1e-12)  # what one seed wins, the other loses
    assert count == 2 and half_width == pytest.approx(12.706 * abs(mtl["1"]["1"] - stl["1"]["1"]), rel=1e-3)
    assert list(result["differences"]) == ["mtl"]  # no seed of the other has a run to be compared with
    assert result["means"]["lone"]["1"] == [stl["1"]["1"], None, 1]
    assert "higher than stl" in table


def test_universal_patch_is_shown_in_other_videos(script):
    _, result = script("experiments.universal", "--steps", "1", "--videos", "1", "--frames", "3")
    (row,) = result["rows"]
    assert row["benign"] > 0.5 and row["universal"] != row["grey"]
    assert result["means"]["grey"] == row["grey"]


@pytest.fixture
def walk(tmp_path):
    """A sequence of noise, with the boxes of somebody who walks."""
    for number in range(1, 5):
        write_image(tmp_path / f"Walk/img/{number:05d}.jpg", number, (320, 240))
    (tmp_path / "Walk/groundtruth_rect.txt").write_text(lines([(100 + x, 80, 24, 60) for x in (0, 4, 8, 12)]))
    return tmp_path / "Walk"


def test_patches_are_shown_in_real_sequences(script, tmp_path, walk):
    few = ("--otb", tmp_path, "--sequences", "Walk", "--frames", "3", "--budget", "1", "--models", "stl", "--nnpack")
    _, result = script("experiments.auto_patch", *few, "--attacks", "grey", "random", "--patches", tmp_path / "kept")
    grey, random = result["rows"]
    assert np.ptp(read_image(tmp_path / "kept/stl-packaged-grey/Walk.png")) == 0
    assert np.ptp(read_image(tmp_path / "kept/stl-packaged-random/Walk.png")) > 200
    assert grey["split"] == "otb" and grey["video"] == "Walk" and 0 <= grey["reach"] <= 1
    assert grey["benign"] == random["benign"] and grey["left"] != random["left"]


def test_reach_depends_on_the_constants(script, tmp_path, walk):
    _, result = script("experiments.reach", "--otb", tmp_path, "--sequences", "Walk", "--models", "stl")
    own, heavy = result["rows"]
    assert (own["constants"], heavy["constants"]) == ("packaged", "heavy window")
    assert 0 <= heavy["Walk"] < own["Walk"] <= 1


def test_alarms_of_attacks(script, tmp_path):
    few = ("--split", "mini", "--videos", "2", "--frames", "3", "--steps", "1", "--keep", tmp_path)
    table, result = script("experiments.alarms", *few)
    assert list(result["runs"]) == ["benign", "patch", "quiet", "pgd8"]
    assert all(len(runs) == 2 and 0 <= run["iou"] <= 1 for runs in result["runs"].values() for run in runs)
    assert table[-1].split()[0] == "any" and len(list(tmp_path.iterdir())) == 6
    patch, quiet = (result["runs"][name] for name in ("patch", "quiet"))
    assert patch != quiet
    assert script("experiments.alarms", *few)[1] == result


def test_alarm_rates_by_hand():
    from experiments.alarms import SIGNS, alarm_rates

    def runs(*strengths):
        return [{**dict.fromkeys(SIGNS, 0.0), "score": value} for value in strengths]

    rows = alarm_rates({"benign": runs(1, 2, 3), "patch": runs(2.5, 5, 0)}, 0.05)
    score, *others, any_sign = rows
    # the thresholds are 3, 3 and 2: the third benign video and the second attacked one exceed theirs
    assert score == pytest.approx({"sign": "score", "benign": 1 / 3, "patch": 1 / 3, "patch auc": 5 / 9})
    assert all(row["patch"] == row["benign"] == 0 and row["patch auc"] == 0.5 for row in others)
    assert any_sign == pytest.approx({"sign": "any", "benign": 1 / 3, "patch": 1 / 3})


def test_defenses_where_nobody_attacks(script, walk):
    table, result = script("experiments.clean_videos", "--video", f"{walk}=plain", "--held-out", "1")
    (row,) = result["rows"]
    assert list(row) == ["model", "video", "none", "dualossdef", "templateadaptation", "checked"]
    assert row["video"] == "Walk" and row["none"] != row["templateadaptation"]
    assert [line.split()[1] for line in table[-3:]] == ["dualossdef", "templateadaptation", "checked"]


def test_trackers_on_whole_videos(script, walk):
    _, result = script("experiments.real_people", "--videos", f"{walk}=plain", "--constants", "packaged", "pysot")
    assert [(row["tracker"], row["constants"]) for row in result["rows"]] == [
        (tracker, constants) for tracker in ("stl", "mtl") for constants in ("packaged", "pysot")
    ]
    for row in result["rows"]:
        assert row["mean"] == row["Walk"] > 0
    assert len({row["Walk"] for row in result["rows"]}) == 2  # PySOT's constants are the packaged ones


def test_keypoints_of_real_people(script, tmp_path):
    make_coco(tmp_path, 2)
    options = ("--images", tmp_path / "images", "--split", "mini", "--every", "10")
    _, result = script("experiments.real_keypoints", tmp_path / "people.json", *options)
    (row,) = result["rows"]
    assert row["weights"] == "packaged" and row["walkers (6)"] > 0.6
    (real,) = [value for name, value in row.items() if name.startswith("real people")]
    assert 0 <= real <= 1
