import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade_results import make_config, make_frames, make_results, write_plan, write_result, write_run, write_sweep
from html_page import Page

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.exports import to_csv, to_latex, to_markdown
from armory_skelevision.results.report.overview import metrics_table, miou_table
from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.summary import summarize

Numbers = dict[str, dict[str, TableCell]]


def numbers_of(table: Table, place: str) -> Numbers:
    """A table's entries by the text of a column, then by header."""
    at = table.columns.index(place)
    return {row[at].number: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_miou_table_by_hand(tmp_path: Path) -> None:
    summary = summarize(load_runs([write_sweep(tmp_path / "sweep")]).runs)
    assert (summary.models, summary.baseline) == (("STL", "MTL"), "STL")
    table = miou_table(summary)
    assert table.columns == ["steps", "STL", "MTL"]
    found = numbers_of(table, "steps")
    assert list(found) == ["benign", "10", "20", "40"]
    assert [found["benign"][model].number for model in summary.models] == ["75.0", "85.0"]
    # seeds .3 and .5: half their distance times t(0.975, 1) = 12.706205
    assert (found["10"]["STL"].number, found["10"]["STL"].interval) == ("40.0", "± 127.1")
    assert (found["10"]["MTL"].number, found["10"]["MTL"].interval) == ("65.0", "± 63.5")
    assert (found["10"]["MTL"].signed_change, found["10"]["MTL"].tone) == ("+25.0", "better 3")
    assert (found["10"]["STL"].best, found["10"]["MTL"].best) == (False, True)
    assert (found["20"]["STL"].best, found["20"]["MTL"].best) == (True, False)
    mtl = found["20"]["MTL"]
    assert (mtl.number, mtl.interval, mtl.signed_change, mtl.note) == ("10.0", "", "−10.0", "1 of 2 seeds")
    assert (mtl.state, mtl.tone) == ("partial", "worse 3")
    assert (found["40"]["MTL"].number, found["40"]["MTL"].state) == ("missing", "missing")
    assert (found["40"]["STL"].number, found["40"]["STL"].state) == ("–", "absent")


def test_metrics_table_has_what_was_measured(tmp_path: Path) -> None:
    write_plan(tmp_path)
    for model, auc in (("stl", 0.25), ("mtl", 0.5)):
        results = make_results((0.8,), (0.3,), benign_mean_success_auc=[0.7], adversarial_mean_success_auc=[auc])
        results["adversarial_mean_oddity"] = [12.3456]
        write_run(tmp_path / model, make_config(model), results)
    table = metrics_table(summarize(load_runs([tmp_path]).runs))
    found = numbers_of(table, "model")
    assert found["MTL"]["attacked success AUC"].number == "50.0"
    assert found["MTL"]["attacked success AUC"].signed_change == "+25.0"
    assert found["MTL"]["attacked mean IoU"].signed_change == "0.0"
    assert found["STL"]["attacked oddity"].number == "12.346"
    assert "benign oddity" not in found["STL"]  # it was not measured
    assert (found["STL"]["seconds"].number, found["STL"]["seeds"].number) == ("12", "1")


def test_repeated_runs_are_no_seeds(tmp_path: Path) -> None:
    for timestamp, iou in ((1795270699, 0.1), (1795270700, 0.4)):
        write_result(tmp_path / f"r_{timestamp}.json", make_results((0.8,), (iou,)), make_config(), timestamp)
    cells = load_runs([tmp_path]).runs
    summary = summarize(cells)
    ((_, entry),) = [row for row in miou_table(summary).rows if row[0].number == "attacked"]
    assert (entry.number, entry.value and entry.value.n) == ("40.0", 1)
    assert [run.is_repeated for run in summary.runs] == [True, False]


def test_settings_name_what_differs(tmp_path: Path) -> None:
    configs = {
        "a": make_config(defense=None),
        "b": make_config(attack__kwargs__step_size=0.2),
        "c": make_config(attack__kwargs__step_size=0.2, attack__kwargs__update="gradient"),
        "d": make_config(model__weights_file="other.safetensors", attack__kwargs__step_size=0.2),
    }
    for name, config in configs.items():
        write_result(tmp_path / f"{name}.json", make_results((0.8,), (0.3,)), config)
    summary = summarize(load_runs([tmp_path / f"{name}.json" for name in configs]).runs)
    labels = {run.name: run.label for run in summary.runs if run.label}
    assert dict(labels["c"].setting) == {
        "data set": "walkers mini",
        "attack": "PatchAttack",
        "δ": "0.2",
        "steps": "10",
        "update": "gradient",
    }
    assert dict(labels["b"].setting)["update"] == "sign"
    assert labels["a"].unattacked == (("data set", "walkers mini"),)
    assert labels["a"].model == "MTL siamrpn_alex_mtl"
    assert labels["d"].model == "MTL other"


def test_external_trackers_are_called_by_their_factories_and_transferred_attacks_by_what_they_transfer(
    tmp_path: Path,
) -> None:
    def external(factory: str) -> dict[str, Any]:
        kwargs = {"attack": "PGD", "source": "siamrpn_stl", "kwargs": {"max_iter": 3}}
        own = {"model__name": "external", "model__model_kwargs": {"factory": factory}, "model__weights_file": None}
        return make_config(**own, attack__name="Transfer", attack__kwargs=kwargs)

    for name, factory in {"a": "my.tracker:make", "b": "armory_skelevision.models.opencv:mil"}.items():
        write_result(tmp_path / f"{name}.json", make_results((0.8,), (0.3,)), external(factory))
    summary = summarize(load_runs([tmp_path / "a.json", tmp_path / "b.json"]).runs)
    labels = [run.label for run in summary.runs if run.label]
    assert [label.model for label in labels] == ["tracker:make", "opencv:mil"]
    assert dict(labels[0].setting) == {
        "data set": "walkers mini",
        "attack": "Transfer",
        "transferred": "PGD",
        "made on": "siamrpn_stl",
    }


def test_a_setting_never_replaces_another_column(tmp_path: Path) -> None:
    paths = []
    for number, model in enumerate(("a", "b")):
        config = make_config(attack__kwargs__model=model, attack__kwargs__video=number)
        paths.append(write_result(tmp_path / f"{model}.json", make_results((0.8,), (0.3,)), config))
    columns = metrics_table(summarize(load_runs(paths).runs)).columns
    assert columns[:4] == ["attack.model", "attack.video", "model", "seeds"]


def test_two_data_sets_are_told_apart(tmp_path: Path) -> None:
    for split, iou in (("mini", 0.8), ("dev", 0.6)):
        config = make_config(dataset__eval_split=split)
        write_result(tmp_path / f"{split}.json", make_results((iou,), (iou / 2,)), config)
    table = miou_table(summarize(load_runs([tmp_path / "mini.json", tmp_path / "dev.json"]).runs))
    assert [(row[0].number, row[1].number) for row in table.rows] == [
        ("walkers dev benign", "60.0"),
        ("walkers dev", "30.0"),
        ("walkers mini benign", "80.0"),
        ("walkers mini", "40.0"),
    ]


def test_csv_and_markdown_say_the_same_as_the_page(tmp_path: Path) -> None:
    written = write_report([write_sweep(tmp_path / "sweep")], tmp_path / "out")
    page = Page(written.page)
    assert set(page.tables) == {"miou", "metrics", "videos", "runs"}
    for name, rows in page.tables.items():
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            from_csv = list(csv.reader(file))
        markdown = (tmp_path / "out" / f"{name}.md").read_text()
        lines = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| ")]
        lines = [lines[0], *lines[2:]]
        assert len(from_csv) == len(lines) == len(rows) > 1
        for from_page, from_markdown, record in zip(rows, lines, map(tuple, from_csv), strict=True):
            for text, other in zip(from_page, from_markdown, strict=False):
                shown = re.sub(r"[*()\[\]\\]", "", other.replace("&lt;", "<").replace("&gt;", ">"))
                assert re.sub(r"[▲▼\[\]]", "", text).split() == shown.split() or text == "–"
            numbers = [text.split()[0] for text in from_page if re.match(r"\d+\.\d", text)]
            recorded = [float(cell) for cell in record if re.fullmatch(r"\d+(\.\d+)?", cell)]
            assert all(any(abs(float(number) - other) < 0.051 for other in recorded) for number in numbers)


def test_csv_has_interval_and_count() -> None:
    row = {"steps": "10", "MTL": TableCell(value=None, text="failed", state="failed")}
    table = Table("t", "T | <b>", [row], numeric=["MTL"])
    assert list(csv.reader(io.StringIO(to_csv(table)))) == [["steps", "MTL"], ["10", "failed"]]
    assert to_markdown(table).splitlines() == [
        "## T \\| &lt;b&gt;",
        "",
        "| steps | MTL |",
        "| --- | --: |",
        "| 10 | failed |",
    ]


def test_latex_is_a_booktabs_table() -> None:
    cell = TableCell(value=Estimate(41.234, 2.0, 3), best=True, change=-1.5, published=40.0)
    table = Table("t", "T", [{"δ": "10 % & more_", "MTL": cell}], caption="50 %", numeric=["MTL"])
    assert to_latex(table).splitlines() == [
        r"% requires \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{T. 50 \%}",
        r"\label{tab:t}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"$\delta$ & MTL \\",
        r"\midrule",
        r"10 \% \& more\_ & \textbf{41.2} $\pm$ 2.0 ($-$1.5) [40.0] \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_no_interval_is_shown_of_equal_values() -> None:
    intervals = [TableCell(value=Estimate(50.0, half, 5)).interval for half in (None, 0.0, 0.04, 1.0)]
    assert intervals == ["", "", "± 0.0", "± 1.0"]


def test_the_page_stands_alone(tmp_path: Path) -> None:
    written = write_report([write_sweep(tmp_path / "sweep")], tmp_path / "out")
    page = Page(written.page)
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page.source)
    assert "script" not in page.tags
    assert "svg" in page.tags
    for address in page.asked:
        assert address.startswith(("#", "data:")) or (tmp_path / "out" / address).is_file(), address
    text = " ".join(page.words)
    for run in ("stl-10-0", "stl-20-1", "mtl-20-1", "mtl-40-0"):
        assert run in text
        assert f"armory run {tmp_path / 'sweep' / run}/config.json --no-docker" in text or run == "mtl-40-0"
    assert "9 runs: 7 finished, 1 failed, 1 missing · 2 models · 3 settings" in text
    assert "ab" * 32 in text
    assert "it broke" in text


def test_texts_never_become_tags(tmp_path: Path) -> None:
    evil = '</style></pre><script>alert("x")</script><img src=x onerror=alert(1)>'
    config = make_config(attack__kwargs__update=evil, model__name=evil, model__weights_file=evil, _description=evil)
    write_plan(tmp_path, {"title": evil})
    frames = make_frames((1.0, 0.2), side="adversarial")
    results = make_results((0.5,), (0.2,), **frames, video_names=[evil], **{f"benign_mean_{evil}": [1]})
    write_run(tmp_path / "one", config, results, command=evil, hash=evil, versions={evil: evil}, weights={evil: evil})
    changed = {**config, "attack": {**config["attack"], "kwargs": {"max_iter": 20, "update": f"{evil}2"}}}
    write_run(tmp_path / "two", changed, None, "failed", error=evil, log_end=[evil])
    (tmp_path / "bad<script>").mkdir()
    (tmp_path / "bad<script>" / "run.json").write_text("[")
    page = Page(write_report([tmp_path], tmp_path / "out").page)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.tags.count("style") == page.source.count("</style>")
    assert evil in " ".join(page.words)


@pytest.mark.parametrize("content", [None, "{}"])
def test_nothing_to_show_is_said(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "sweep").mkdir()
    if content:
        (tmp_path / "sweep" / "runs.json").write_text(content)
    written = write_report([tmp_path / "sweep"], tmp_path / "out")
    page = Page(written.page)
    assert len(written.problems) == 1
    assert "No results to show" in page.source
    assert str(tmp_path / "sweep") in " ".join(page.words)


def test_curves_come_from_checkpoints(tmp_path: Path) -> None:
    config = make_config(attack__kwargs__max_iter=20, attack__kwargs__checkpoints=[5, 10])
    results = make_results((0.8,), (0.1,), adversarial_checkpoints=[{"5": 0.5, "10": 0.25}])
    path = write_result(tmp_path / "r.json", results, config)
    page = Page(write_report([path], tmp_path / "out").page)
    assert [row[:2] for row in page.tables["miou"]] == [
        ["steps", "MTL"],
        ["benign", "80.0"],
        ["5", "50.0"],
        ["10", "25.0"],
        ["20", "10.0"],
    ]
    assert "steps of the attack" in page.words
    assert [row[0] for row in page.tables["runs"]] == ["run", "r"]
    again = tmp_path / "out" / "configs" / "r.json"
    assert json.loads(again.read_text())["attack"]["kwargs"] == config["attack"]["kwargs"]


def test_twenty_runs_stay_small(tmp_path: Path) -> None:
    write_plan(tmp_path)
    frames = [make_frames(*[[0.5] * 40] * 20, side=side) for side in ("benign", "adversarial")]
    for steps in range(1, 11):
        for model in ("stl", "mtl"):
            config = make_config(model, attack__kwargs__max_iter=steps)
            results = make_results((0.8,) * 20, (0.3,) * 20, **frames[0], **frames[1])
            write_run(tmp_path / f"{model}-{steps}", config, results)
    written = write_report([tmp_path], tmp_path / "out")
    assert 50_000 < written.page.stat().st_size < 10 * 2**20
    assert len(Page(written.page).tables["runs"]) == 21


Run = Callable[..., tuple[int, str, str]]


def test_commands_and_their_exit_codes(run: Run, tmp_path: Path) -> None:
    good = write_result(tmp_path / "good.json", make_results((0.5, 0.7), (0.2, 0.1)), make_config())
    (tmp_path / "broken.json").write_text("{")
    out = tmp_path / "out"
    assert run("report", good, "--out", out) == (0, f"{out / 'index.html'}\n", "")
    code, told, err = run("report", good, tmp_path / "broken.json", "--out", out)
    assert (code, told) == (1, f"{out / 'index.html'}\n")
    assert err.startswith(f"left out: {tmp_path / 'broken.json'}: ") and err.count("\n") == 1
    assert "benign,60,1" in (out / "miou.csv").read_text()
    assert run("report", tmp_path / "no", "--out", out)[0] == 1
    assert run("report", "--out", out)[0] == 2
    other = write_result(tmp_path / "other.json", make_results((0.5, 0.7), (0.3, 0.3)), make_config("stl"))
    code, told, err = run("compare", good, other)
    assert (code, err) == (1, "")
    assert "differs as well: model.name" in told
    code, told, err = run("compare", good, other, "--expect", "model")
    assert (code, err) == (0, "")
    assert re.search(r"adversarial mean IoU +2 +0\.150 +0\.300 +\+0\.150 +\[-0\.485, \+0\.785\]", told)
