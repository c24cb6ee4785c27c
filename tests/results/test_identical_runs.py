"""Runs that differ only in a seed that has no effect are one measurement: no interval, and the report says so."""

from collections.abc import Callable
from pathlib import Path

import pytest
from handmade_results import make_config, make_results, write_plan, write_result, write_run
from html_page import Page

from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.summary import summarize

Run = Callable[..., tuple[int, str, str]]


def write(folder: Path, ious: list[tuple[float, ...]]) -> Path:
    """A sweep over seeds, with these IoUs of videos under attack."""
    write_plan(folder)
    for seed, attacked in enumerate(ious):
        write_run(
            folder / str(seed), make_config(attack__kwargs__seed=seed), make_results((0.5,) * len(attacked), attacked)
        )
    return folder


def attacked_row(folder: Path) -> tuple[str, str]:
    """What the page and the CSV file say of the mean IoU under attack."""
    page = Page(write_report([folder], folder.parent / "out").page)
    lines = (folder.parent / "out" / "miou.csv").read_text().splitlines()
    return page.tables["miou"][2][1], lines[2]


def test_identical_runs_are_one_measurement(tmp_path: Path) -> None:
    sweep = write(tmp_path / "sweep", [(0.25, 0.75)] * 3)
    assert attacked_row(sweep) == ("50.0 3 identical runs", "attacked,50,1")
    summary = summarize(load_runs([sweep]).runs)
    assert summary.identical == (
        "MTL on walkers mini · PatchAttack · 0.1 · 10: 3 runs that differ only in their seeds gave identical results",
    )
    page = Page(tmp_path / "out" / "index.html")
    assert "Seeds without an effect; these runs count as one, without an interval:" in page.words
    assert page.tables["metrics"][1][page.tables["metrics"][0].index("seeds")] == "3, identical"


@pytest.mark.parametrize("ious", [[(0.25, 0.75), (0.75, 0.25)], [(0.25, 0.75), (0.25, 0.75000001)]])
def test_runs_that_differ_anywhere_have_an_interval(tmp_path: Path, ious: list[tuple[float, ...]]) -> None:
    sweep = write(tmp_path / "sweep", ious)
    shown, line = attacked_row(sweep)
    assert "identical" not in shown
    assert line.endswith(",2")
    assert summarize(load_runs([sweep]).runs).identical == ()


def test_the_benign_side_of_several_seeds_has_no_interval_and_no_remark(tmp_path: Path) -> None:
    write_report([write(tmp_path / "sweep", [(0.25,), (0.5,)])], tmp_path / "out")
    assert (tmp_path / "out" / "miou.csv").read_text().splitlines()[:2] == [",MTL,MTL ± 95 %,MTL n", "benign,50,,1"]
    assert "Seeds without an effect" not in (tmp_path / "out" / "index.html").read_text()


def test_one_run_is_not_identical_to_itself(tmp_path: Path) -> None:
    sweep = write(tmp_path / "sweep", [(0.25,)])
    assert summarize(load_runs([sweep]).runs).identical == ()
    assert attacked_row(sweep) == ("25.0", "attacked,25,1")


def test_commands_say_so(run: Run, tmp_path: Path) -> None:
    sweep = write(tmp_path / "sweep", [(0.25,)] * 2)
    for arguments in (("report", sweep, "--out", tmp_path / "out"), ("summary", sweep)):
        code, _, err = run(*arguments)
        assert code == 0
        assert err.startswith("note: MTL on ") and "2 runs that differ only in their seeds" in err


def test_summary_takes_what_a_report_takes(run: Run, tmp_path: Path) -> None:
    sweep = write(tmp_path / "sweep", [(0.25,), (0.5,)])
    write_run(sweep / "2", make_config(attack__kwargs__seed=2), None, "failed")
    lone = write_result(tmp_path / "lone.json", make_results((0.75,)), make_config())
    (tmp_path / "bad.json").write_text("{")
    code, out, err = run("summary", sweep, lone, tmp_path / "bad.json")
    assert out.splitlines() == [
        f"benign mIoU 0.50  adversarial mIoU 0.25  results {sweep / '0' / 'result.json'}",
        f"benign mIoU 0.50  adversarial mIoU 0.50  results {sweep / '1' / 'result.json'}",
        f"failed  results {sweep / '2'}",
        f"benign mIoU 0.75  adversarial mIoU skipped  results {lone}",
    ]
    assert code == 1
    note, error = err.splitlines()
    assert note.startswith("note: MTL on walkers mini: the benign mean IoU is 50.0 in one run and 75.0 in another")
    assert error.startswith(f"error: {tmp_path / 'bad.json'}: ")


def test_another_model_has_other_weights(run: Run, tmp_path: Path) -> None:
    for name, model in (("a", "stl"), ("b", "mtl")):
        weights = {f"siamrpn_alex_{model}.safetensors": name * 64}
        write_plan(tmp_path / name)
        write_run(tmp_path / name / "run", make_config(model), make_results((0.5,), (0.25,)), weights=weights)
    assert run("compare", tmp_path / "a", tmp_path / "b", "--expect", "model")[::2] == (0, "")
    code, out, _ = run("compare", tmp_path / "a", tmp_path / "b", "--expect", "model.name")
    assert code == 1
    assert f"differs as well: model.weights_file.sha256: {'a' * 64} → {'b' * 64}" in out
    write_plan(tmp_path / "c")
    config = make_config("mtl", model__weights_file="siamrpn_alex_mtl.safetensors")
    write_run(tmp_path / "c" / "run", config, make_results((0.5,), (0.25,)), weights={"other.safetensors": "c" * 64})
    code, out, _ = run("compare", tmp_path / "b", tmp_path / "c", "--expect", "model")
    assert code == 1
    assert "weights.other.safetensors" in out


def test_videos_have_the_names_that_the_result_has(tmp_path: Path) -> None:
    results = make_results((0.5, 0.75), video_names=["Crossing", "Human7"])
    path = write_result(tmp_path / "r.json", results, make_config())
    page = Page(write_report([path], tmp_path / "out").page)
    assert [row[page.tables["videos"][0].index("video")] for row in page.tables["videos"][1:]] == ["Crossing", "Human7"]
