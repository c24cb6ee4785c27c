"""Values that are missing in a result keep their place, and no mean is taken without them."""

import json
import math
from pathlib import Path

import pytest
from handmade_results import METRIC, make_config, make_frames, make_results, write_plan, write_result, write_run
from html_page import Page

from armory_skelevision.results.comparison import compare
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.curves import precision_curve, success_curve
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.result_file import read_run
from armory_skelevision.results.summary import summarize

GAP = {"null": None, "NaN": math.nan}


def write(path: Path, gap: float | None, **further: object) -> Path:
    results = {f"benign_{METRIC}": [[0.5], [gap], [0.75]], f"adversarial_{METRIC}": [[0.25], [0.5], [0.75]], **further}
    return write_result(path, results, make_config())


@pytest.mark.parametrize("gap", GAP.values(), ids=GAP)
@pytest.mark.parametrize("mean", [{}, {f"benign_mean_{METRIC}": [0.625]}, {f"benign_mean_{METRIC}": [math.nan]}])
def test_a_gap_keeps_its_place_and_there_is_no_mean(tmp_path: Path, gap: float | None, mean: dict[str, object]) -> None:
    path = write(tmp_path / "r.json", gap, **mean)
    assert ("NaN" in path.read_text()) is any(value != value for value in (gap, *mean.get(f"benign_mean_{METRIC}", [])))
    run = read_run(path)
    assert run.benign.video_ious == (0.5, None, 0.75)
    assert run.benign.mean_iou is None
    assert run.benign.missing == {METRIC}
    assert run.adversarial.mean_iou == 0.5
    assert str(run) == "benign mIoU missing  adversarial mIoU 0.50"


@pytest.mark.parametrize("gap", GAP.values(), ids=GAP)
def test_gaps_in_frames_keep_their_places(tmp_path: Path, gap: float | None) -> None:
    box, half = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]
    frames = {"frame_iou": [[[1.0, gap, 0.5]]], "true_boxes": [[[box, box, box]]]}
    frames["frame_boxes"] = [[[box, [0.0, gap, 1.0, 1.0], half]]]
    results = {f"benign_mean_{METRIC}": [0.5], **{f"benign_{name}": value for name, value in frames.items()}}
    run = read_run(write_result(tmp_path / "r.json", results))
    first, second, third = run.benign.frame_ious[0]
    assert (first, third) == (1.0, 0.5)
    assert math.isnan(second)
    assert math.isnan(run.benign.boxes_xyxy[0][1][0])
    assert run.benign.boxes_xyxy[0][2] == tuple(half)
    assert success_curve([run], "benign") is precision_curve([run], "benign") is None


def test_a_checkpoint_without_a_value_is_missing_too(tmp_path: Path) -> None:
    results = make_results((0.5, 0.5), (0.5, 0.5), adversarial_checkpoints=[{"5": 0.5, "8": None}, {"5": 0.25}])
    run = read_run(write_result(tmp_path / "r.json", results, make_config(attack__kwargs__max_iter=10)))
    assert run.checkpoints == {5: (0.5, 0.25), 8: (None, None)}
    page = Page(write_report([tmp_path / "r.json"], tmp_path / "out").page)
    assert [row[:2] for row in page.tables["miou"]][2:] == [["5", "37.5"], ["8", "missing"], ["10", "50.0"]]


def test_the_report_shows_what_is_missing_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "r.json", None, benign_success_auc=[0.5, 0.5, None], benign_frame_iou=make_three_videos())
    written = write_report([tmp_path / "r.json"], tmp_path / "out")
    assert written.problems == ()
    (remark,) = written.remarks
    assert f"benign {METRIC} of 1 of 3 videos" in remark
    assert "benign success_auc of 1 of 3 videos" in remark
    page = Page(written.page)
    assert page.tables["miou"][1] == ["benign", "missing"]
    shown = [row[page.tables["videos"][0].index("benign mean IoU")] for row in page.tables["videos"][1:]]
    assert shown == ["50.00", "missing", "75.00"]
    assert page.tables["runs"][1][page.tables["runs"][0].index("benign mean IoU")] == "missing"
    assert page.tables["metrics"][1][page.tables["metrics"][0].index("benign success AUC")] == "missing"
    assert "benign,missing" in (tmp_path / "out" / "miou.csv").read_text()


def make_three_videos() -> list[list[list[float | None]]]:
    return [[[1.0, 0.5]], [[1.0, None]], [[1.0, 0.75]]]


def test_a_seed_without_a_value_is_told_from_the_mean_of_the_others(tmp_path: Path) -> None:
    write_plan(tmp_path)
    for seed, iou in enumerate((0.25, 0.5, None)):
        results = {f"adversarial_{METRIC}": [[iou]], f"benign_{METRIC}": [[0.5]]}
        write_run(tmp_path / str(seed), make_config(attack__kwargs__seed=seed), results)
    page = Page(write_report([tmp_path], tmp_path / "out").page)
    (attacked,) = [row for row in page.tables["miou"] if row[0] == "attacked"]
    assert attacked[1].startswith("37.5 ± ")
    assert attacked[1].endswith("2 of 3 seeds")


def test_videos_without_a_value_are_not_compared(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.json", None), write(tmp_path / "b.json", None)
    content = json.loads(second.read_text())
    content["results"][f"benign_{METRIC}"] = [[None], [0.5], [0.75]]
    second.write_text(json.dumps(content))
    found = compare(first, second)
    assert found.pairs[0].contrasts["side"].tolist() == ["adversarial"]
    assert not found.is_fair
    assert {problem.got for problem in found.problems} == {"none for some in A", "none for some in B"}


def test_a_metric_that_is_infinite_has_no_mean(tmp_path: Path) -> None:
    path = write_result(tmp_path / "r.json", make_results((0.5, 0.5), benign_snr_db=[[math.inf], [3.0]]))
    assert "Infinity" in path.read_text()
    run = read_run(path)
    assert run.benign.videos["snr_db"] == (None, 3.0)
    assert run.benign.missing == {"snr_db"}


def test_a_benign_side_without_any_mean_is_still_a_result(tmp_path: Path) -> None:
    write_result(tmp_path / "r.json", {f"benign_{METRIC}": [[None]]}, make_config())
    assert summarize(load_runs([tmp_path / "r.json"]).runs).incomplete[0].startswith("r: no value of benign")


def test_frames_of_which_none_is_missing_make_curves(tmp_path: Path) -> None:
    run = read_run(write_result(tmp_path / "r.json", make_results((0.5,), **make_frames((1.0, 0.5)))))
    assert success_curve([run], "benign") is not None
    assert precision_curve([run], "benign") is not None
