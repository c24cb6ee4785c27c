"""Keypoints in the report: the table, the curve over bounds and the bars, by hand."""

import re
from pathlib import Path

import pytest
from handmade_results import make_config, make_keypoint_results, make_results, write_result
from html_page import Page

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report import keypoints
from armory_skelevision.results.report.overview import metrics_table
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.result_file import read_run
from armory_skelevision.results.summary import Summary, summarize


def write_runs(folder: Path) -> list[Path]:
    """Two attacks: one with three bounds, one with a single one."""
    shares = dict.fromkeys(KEYPOINTS, (1.0, 0.75)) | {
        "left_hip": (0.5, 0.0),
        "right_hip": (1.0, 0.3),
        "nose": (None, None),
    }
    paths = []
    for attack, bound, relative in (("IGSM", 2, 90.0), ("IGSM", 8, 60.0), ("IGSM", 32, 30.0), ("FGSM", 2, 95.0)):
        config = make_config(attack__name=f"Keypoint{attack}", attack__kwargs={"eps": bound / 255})
        results = make_keypoint_results(shares, relative)
        paths.append(write_result(folder / f"{attack}{bound}.json", results, config))
    return paths


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return summarize(load_runs(write_runs(tmp_path)).runs)


def test_reads_keypoints_as_means(tmp_path: Path) -> None:
    run = read_run(write_runs(tmp_path)[1])
    assert run.adversarial.means["relative_pck"] == pytest.approx(0.6)
    assert "relative_pck" not in run.benign.means
    assert (run.benign.means["keypoint_pck.left_hip"], run.adversarial.means["keypoint_pck.right_hip"]) == (0.5, 0.3)
    assert "keypoint_pck.nose" not in run.benign.means  # never labelled


def test_table_of_keypoints(summary: Summary) -> None:
    table = keypoints.keypoints_table(summary)
    assert table.columns[:4] == ["attack", "ε", "model", "nose"] and len(table.columns) == 20
    rows = [dict(zip(table.columns, (entry.number for entry in row), strict=True)) for row in table.rows]
    assert [(row["attack"], row["ε"]) for row in rows] == [
        ("benign", ""),
        ("KeypointFGSM", "2/255"),
        ("KeypointIGSM", "2/255"),
        ("KeypointIGSM", "8/255"),
        ("KeypointIGSM", "32/255"),
    ]
    assert (rows[0]["left hip"], rows[3]["left hip"], rows[3]["right hip"]) == ("50.0", "0.0", "30.0")
    assert {row["nose"] for row in rows} == {"–"}


def test_curves_and_bars(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    for chart in ("bounds_chart", "keypoints_chart"):
        monkeypatch.setattr(keypoints, chart, lambda data, chart=chart: drawn.setdefault(chart, data) and chart)
    panels = keypoints.keypoint_panels(summary)
    assert [(panel.title, *panel.charts) for panel in panels] == [
        ("walkers mini · MTL", "bounds_chart"),
        ("walkers mini · MTL · each keypoint", "keypoints_chart"),
    ]
    curves = {
        attack: {bound: round(value.mean, 6) for bound, value in curve.items()}
        for attack, curve in drawn["bounds_chart"].items()
    }
    assert curves == {"KeypointFGSM": {2: 0.95}, "KeypointIGSM": {2: 0.9, 8: 0.6, 32: 0.3}}
    assert list(drawn["keypoints_chart"]) == ["KeypointFGSM, 2/255", "KeypointIGSM, 8/255"]
    left = drawn["keypoints_chart"]["KeypointIGSM, 8/255"]
    assert left["hip"] == pytest.approx(0.3 / 1.5)
    assert left["wrist"] == pytest.approx(0.75)
    assert "nose" not in left


def test_the_page_shows_them(tmp_path: Path) -> None:
    page = Page(write_report(write_runs(tmp_path / "runs"), tmp_path / "out").page)
    assert "bound of the perturbation, 1/255" in page.words
    assert {"wrist", "ankle"} <= set(page.words)
    assert len(page.tables["keypoints"]) == 6
    assert (tmp_path / "out" / "keypoints.csv").is_file()


def test_attacks_with_one_bound_have_bars_and_no_curve(tmp_path: Path) -> None:
    config = make_config(attack__name="PGD", attack__kwargs={"eps": 0.03})
    path = write_result(tmp_path / "r.json", make_keypoint_results({"nose": (1.0, 0.5)}, 50.0), config)
    panels = keypoints.keypoint_panels(summarize(load_runs([path]).runs))
    assert [panel.title for panel in panels] == ["walkers mini · MTL · each keypoint"]
    assert re.search(r">\s*PGD, 7.65/255\s*<", panels[0].charts[0])


def test_without_keypoints_there_is_no_section(tmp_path: Path) -> None:
    page = Page(write_report([write_result(tmp_path / "r.json", make_results((0.8,), (0.3,)))], tmp_path / "out").page)
    assert "keypoints" not in page.tables and "relative PCK" not in page.source
    assert not (tmp_path / "out" / "keypoints.csv").exists()


def test_relative_pck_has_one_column(summary: Summary) -> None:
    columns = metrics_table(summary).columns
    assert "attacked relative PCK" in columns and "benign relative PCK" not in columns
    assert not any("keypoint" in column for column in columns)
