"""Videos that a patch could win in: read, averaged on their own, and shown beside all videos."""

import re
from pathlib import Path
from typing import Any

import pytest
from handmade_results import METRIC, make_config, make_results, write_result
from html_page import Page

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.evaluation.table import IN_REACH
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.metric_names import IOU_IN_REACH
from armory_skelevision.results.records import with_checkpoints
from armory_skelevision.results.report.figures import steps_panels
from armory_skelevision.results.report.overview import metrics_table, miou_table
from armory_skelevision.results.report.svg import line_styles
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.result_file import read_run
from armory_skelevision.results.summary import summarize

BENIGN, ATTACKED = (0.75, 0.5, 0.25), (0.5, 0.25, 0.0)


def write(path: Path, reach: list[float | None] | None, model: str = "mtl", **further: Any) -> Path:
    results = make_results(BENIGN, ATTACKED, **({} if reach is None else {"reach": reach}), **further)
    return write_result(path, results, make_config(model))


@pytest.mark.parametrize(
    ("reach", "means", "told"),
    [
        (
            [1.0, IN_REACH, 0.49],
            (0.625, 0.375),
            "benign mIoU 0.50 (0.62 in reach)  adversarial mIoU 0.25 (0.38 in reach)",
        ),
        ([0.1, None, 1], (0.25, 0.0), "benign mIoU 0.50 (0.25 in reach)  adversarial mIoU 0.25 (0.00 in reach)"),
        ([0.1, 0.2, 0.0], (None, None), "benign mIoU 0.50  adversarial mIoU 0.25"),
    ],
)
def test_the_mean_over_the_videos_in_reach(
    tmp_path: Path, reach: list[float | None], means: tuple[float | None, ...], told: str
) -> None:
    run = read_run(write(tmp_path / "r.json", reach))
    assert run.reach == tuple(reach)
    assert (run.benign.means.get(IOU_IN_REACH), run.adversarial.means.get(IOU_IN_REACH)) == means
    assert run.benign.mean_iou == 0.5
    count = sum(share is not None and share >= IN_REACH for share in reach)
    assert str(run) == f"{told}  {count} of {3 - reach.count(None)} videos in reach"


@pytest.mark.parametrize("reach", [None, [None, None, None]])
def test_without_a_record_of_the_reach_nothing_is_said_of_it(tmp_path: Path, reach: list[None] | None) -> None:
    run = read_run(write(tmp_path / "r.json", reach))
    assert run.reach == () and IOU_IN_REACH not in run.benign.means
    assert str(run) == "benign mIoU 0.50  adversarial mIoU 0.25"
    summary = summarize([run])
    assert "videos" not in miou_table(summary).columns
    assert not any("reach" in column for column in metrics_table(summary).columns)
    page = write_report([tmp_path / "r.json"], tmp_path / "out").page
    assert "reach" not in Page(page).tables["videos"][0]


def test_a_video_in_reach_without_a_value_leaves_no_mean(tmp_path: Path) -> None:
    attacked = {f"adversarial_{METRIC}": [[0.5], [None], [0.25]]}
    for reach, is_missing in (([1.0, 1.0, 0.0], True), ([1.0, 0.0, 1.0], False)):
        path = write_result(tmp_path / "r.json", {**make_results(BENIGN), **attacked, "reach": reach}, make_config())
        run = read_run(path)
        assert (IOU_IN_REACH in run.adversarial.missing) is is_missing
        assert run.adversarial.means.get(IOU_IN_REACH) == (None if is_missing else 0.375)
        assert IOU_IN_REACH in run.benign.means
        assert ("iou_in_reach" in summarize([run]).incomplete[0]) is is_missing


def test_the_report_shows_both_means_and_the_reach_of_each_video(tmp_path: Path) -> None:
    paths = [write(tmp_path / "stl.json", [1.0, 0.6, 0.0], "stl"), write(tmp_path / "mtl.json", [0.0, 0.1, 0.2])]
    page = Page(write_report(paths, tmp_path / "out").page)
    head, *rows = page.tables["miou"]
    assert head == ["", "videos", "STL", "MTL"]
    assert [row[:2] for row in rows] == [
        ["benign", "all"],
        ["benign", "in reach"],
        ["attacked", "all"],
        ["attacked", "in reach"],
    ]
    assert rows[2][2].startswith("25.0")
    assert rows[3][2].startswith("37.5") and "2 of 3 videos" in rows[3][2]
    assert rows[3][3].startswith("–") and "0 of 3 videos" in rows[3][3]
    assert "at least 50 %" in miou_table(summarize(load_runs(paths).runs)).caption
    metrics = dict(zip(page.tables["metrics"][0], page.tables["metrics"][1], strict=True))
    assert (metrics["benign mean IoU in reach"], metrics["attacked mean IoU in reach"]) == ("62.5", "37.5")
    at = page.tables["videos"][0].index("reach")
    assert [row[at] for row in page.tables["videos"][1:]] == ["100.00", "60.00", "0.00", "0.00", "10.00", "20.00"]


def test_means_over_other_videos_are_not_compared(tmp_path: Path) -> None:
    for reach, change in (([1.0, 0.0, 1.0], ""), ([1.0, 0.6, 0.0], "0.0")):
        paths = [write(tmp_path / "stl.json", [1.0, 0.6, 0.0], "stl"), write(tmp_path / "mtl.json", reach)]
        table = miou_table(summarize(load_runs(paths).runs))
        (cell,) = [row[-1] for row in table.rows if [each.number for each in row[:2]] == ["attacked", "in reach"]]
        assert (cell.signed_change, cell.note) == (change, "2 of 3 videos")


def test_a_run_without_reach_beside_one_that_has_it(tmp_path: Path) -> None:
    paths = [write(tmp_path / "stl.json", [1.0, None, 0.0], "stl"), write(tmp_path / "mtl.json", None)]
    page = Page(write_report(paths, tmp_path / "out").page)
    at = page.tables["videos"][0].index("reach")
    assert [row[at] for row in page.tables["videos"][1:]] == ["100.00", "missing", "0.00", "–", "–", "–"]
    assert page.tables["miou"][-1][1:] == ["in reach", "50.0 1 of 2 videos", "–"]


def test_checkpoints_of_a_budget_are_attacks_with_a_smaller_one(tmp_path: Path) -> None:
    config = build_config("walkers", "mtl", "autopatch")
    config["attack"]["kwargs"] |= {"budget": 100, "checkpoints": [10, 100]}
    curve = [{"10": 0.75, "100": 0.5}, {"10": 0.5, "100": 0.25}, {"10": 0.25, "100": 0.0}]
    results = make_results(BENIGN, ATTACKED, adversarial_checkpoints=curve, reach=[1.0, 1.0, 0.0])
    path = write_result(tmp_path / "r.json", results, config)
    whole, after = with_checkpoints(read_run(path))
    assert after.config["attack"]["kwargs"] == {**config["attack"]["kwargs"], "budget": 10}
    assert (after.adversarial.mean_iou, after.adversarial.means[IOU_IN_REACH]) == (0.5, 0.625)
    assert whole.adversarial.means[IOU_IN_REACH] == 0.375
    page = Page(write_report([path], tmp_path / "out").page)
    assert [row[:2] for row in page.tables["miou"]] == [
        ["budget", "videos"],
        *(["benign", videos] for videos in ("all", "in reach")),
        *([budget, videos] for budget in ("10", "100") for videos in ("all", "in reach")),
    ]
    summary = summarize(load_runs([path]).runs)
    (panel,) = steps_panels(summary, line_styles(summary.models, summary.baseline))
    assert "AutoPatch" in panel.title and "budget" not in panel.title


def test_a_budget_is_written_with_its_name(tmp_path: Path) -> None:
    config = build_config("walkers", "mtl", "autopatch")
    path = write_result(tmp_path / "r.json", make_results(BENIGN, ATTACKED), config)
    assert "AutoPatch · budget 30" in miou_table(summarize(load_runs([path]).runs)).caption


def test_the_benign_row_is_named_in_the_column_of_the_budget(tmp_path: Path) -> None:
    paths = []
    for split, budget in (("mini", 30), ("dev", 100)):
        config = build_config("walkers", "mtl", "autopatch")
        config["attack"]["kwargs"]["budget"], config["dataset"]["eval_split"] = budget, split
        paths.append(write_result(tmp_path / f"{split}.json", make_results(BENIGN, ATTACKED), config))
    rows = Page(write_report(paths, tmp_path / "out").page).tables["miou"]
    assert [row[:2] for row in rows] == [
        ["data set", "budget"],
        ["walkers dev", "benign"],
        ["walkers dev", "100"],
        ["walkers mini", "benign"],
        ["walkers mini", "30"],
    ]


def test_checkpoints_of_the_strongest_patch_are_budgets_though_its_own_is_the_default(tmp_path: Path) -> None:
    config = make_config("mtl")
    config["attack"] = {"name": "AutoPatch", "kwargs": {"checkpoints": [10]}}
    results = make_results(BENIGN, ATTACKED, adversarial_checkpoints=[{"10": 0.5}] * 3)
    _, checkpoint = with_checkpoints(read_run(write_result(tmp_path / "r.json", results, config)))
    assert checkpoint.config["attack"]["kwargs"] == {"checkpoints": [10], "budget": 10}


def test_the_columns_of_tables_have_no_classes_of_the_page(tmp_path: Path) -> None:
    page = write_report([write(tmp_path / "r.json", [1.0, 0.6, 0.0])], tmp_path / "out").page
    heads = re.findall('<th scope="col" class="([^"]*)">', page.read_text(encoding="utf-8"))
    assert heads and {name for each in heads for name in each.split()} <= {"num", "setting", "wide"}
